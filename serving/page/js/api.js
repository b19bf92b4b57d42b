// The public GraphQL API over HTTP. Nothing here that any other client could not do.

import * as key from "./key.js";

/** An error's message for the reader, and the code to decide on. */
export class ApiError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/**
 * Run a query; gives its `data`. Throws ApiError with code UNREACHABLE when nobody answers, SLOW when nobody has within
 * the time, else with the first error's own code. A field that failed alone does not throw: it is null.
 */
export async function query(document, variables = {}, { timeoutMs = 20_000 } = {}) {
  let response;
  let body;
  try {
    response = await fetch("/graphql", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/graphql-response+json, application/json", ...key.authorization() },
      body: JSON.stringify({ query: document, variables }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    key.learn(response.headers.get("Millrace-Scopes"));
    body = await response.json();
  } catch (error) {
    if (error.name === "TimeoutError") throw new ApiError(`The server has not answered within ${timeoutMs / 1000} seconds.`, "SLOW");
    throw new ApiError("The server does not answer.", "UNREACHABLE");
  }
  if (!body.data) {
    const [error] = body.errors ?? [];
    throw new ApiError(error?.message ?? `HTTP ${response.status}`, error?.extensions?.code ?? "INTERNAL");
  }
  return body.data;
}

/** Whether the key may do something, so that nobody has to ask in vain. */
export async function may(scope) {
  if (key.isSet() && !key.isLearnt()) await query("{ __typename }");
  return key.may(scope);
}

/** What every view asks for besides its own: the commit its numbers belong to. */
export const AS_OF = "asOf { epoch committedAt watermark lag freshness }";

const REALTIME_FIELDS = `
  ${AS_OF}
  activeUsers eventsPerSecond viewsPerMinute revenueToday purchasesToday currency conversionRate cartAbandonmentRate
  series { minute views purchases revenue }`;
const realtime = (kind) =>
  `${kind} Realtime($zone: String, $bots: BotFilter!) { realtime(timeZone: $zone, bots: $bots) { ${REALTIME_FIELDS} } }`;

// Enough to count them and to notice each change; the view asks for the rest.
export const ALERTS = "query OpenAlerts { alerts { id severity changedAt acknowledgedAt } }";
export const ALERTS_LIVE = ALERTS.replace("query", "subscription");

export const REALTIME = realtime("query");
export const REALTIME_LIVE = realtime("subscription");
