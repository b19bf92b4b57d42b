// TypeScript for documents, from the schema alone: node generate.cjs SDL OUT DOCUMENT…
const { readFileSync, writeFileSync } = require("node:fs");
const { codegen } = require("@graphql-codegen/core");
const { parse } = require("graphql");

const [sdl, out, ...documents] = process.argv.slice(2);
const plugins = {
  "typescript-operations": require("@graphql-codegen/typescript-operations"),
  "typed-document-node": require("@graphql-codegen/typed-document-node"),
};
codegen({
  filename: "generated.ts", // a plugin insists on this ending
  schema: parse(readFileSync(sdl, "utf8")),
  documents: documents.map((location) => ({ location, document: parse(readFileSync(location, "utf8")) })),
  plugins: Object.keys(plugins).map((name) => ({ [name]: {} })),
  pluginMap: plugins,
  config: {
    useTypeImports: true,
    strictScalars: true,
    scalars: { DateTime: "string", Decimal: "string", Duration: "string", Long: "number" },
  },
}).then((text) => writeFileSync(out, text));
