// PostGraphile over one schema of a database, as its documentation sets it up: node server.mjs URL SCHEMA PORT CONNECTIONS
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";

const [connectionString, schema, port, connections] = process.argv.slice(2);
const options = `-c search_path=${schema} -c jit=off -c plan_cache_mode=force_custom_plan`;
const server = createServer();
await postgraphile({
  extends: [PostGraphileAmberPreset],
  pgServices: [makePgService({ connectionString, schemas: [schema], poolConfig: { max: Number(connections), options } })],
  schema: { defaultBehavior: "connection list" },
  grafserv: { graphiql: false, watch: false },
}).createServ(grafserv).addTo(server);
server.listen(Number(port), "127.0.0.1");
