// What a frontend in TypeScript does with the API: its documents typed by the schema, its answers checked by the compiler.
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";
import { BestSellersDocument, FunnelBySourceDocument, LastSessionsDocument, type TimeRange } from "./generated.mjs";

const [endpoint, from, to] = process.argv.slice(2) as [string, string, string];
const range: TimeRange = { from, to };

async function ask<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data> {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const answer = (await response.json()) as { data?: Data; errors?: { message: string }[] };
  if (!answer.data || answer.errors) throw new Error(JSON.stringify(answer.errors));
  return answer.data;
}

const best = await ask(BestSellersDocument, { range });
const units: number = best.topProducts.reduce((sum, product) => sum + product.units, 0);
const sessions = (await ask(LastSessionsDocument, {})).sessions;
const spent: string[] = sessions.nodes.map((session) => session.revenue);
const cursor: string | null | undefined = sessions.pageInfo.endCursor;
const older = (await ask(LastSessionsDocument, { after: cursor })).sessions;
const { funnel } = await ask(FunnelBySourceDocument, { range });
// @ts-expect-error a range is not a text: where the schema said so no more, this would not compile
const wrong = () => ask(BestSellersDocument, { range: "today" });
// @ts-expect-error nobody asked for it
const unasked = () => best.topProducts[0]?.revenue;

console.log(JSON.stringify({
  units, spent, older: older.nodes.map((session) => session.id), newer: sessions.nodes.map((session) => session.id),
  sources: funnel.segments.map((segment) => segment.segment ?? null), never: [typeof wrong, typeof unasked],
}));
