// The public GraphQL API over HTTP. Nothing here that any other client could not do.

/** The answer's `data`, and its errors told apart: a message for the reader and the code to decide on. */
export class ApiError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/**
 * Run a query. Throws ApiError with code UNREACHABLE when nobody answers, else with the first error's own code.
 * A field that failed alone does not throw: it is null in `data`.
 */
export async function query(document, variables = {}, { timeoutMs = 15_000 } = {}) {
  let response;
  let body;
  try {
    response = await fetch("/graphql", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/graphql-response+json, application/json" },
      body: JSON.stringify({ query: document, variables }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    body = await response.json();
  } catch {
    throw new ApiError("The server does not answer.", "UNREACHABLE");
  }
  if (!body.data) {
    const [error] = body.errors ?? [];
    throw new ApiError(error?.message ?? `HTTP ${response.status}`, error?.extensions?.code ?? "INTERNAL");
  }
  return { data: body.data, errors: body.errors ?? [] };
}

const NUMBERS = "views clicks adds purchases units revenue currency";

/** Everything the page shows besides the live tiles, in one request: one snapshot, so all panels agree. */
export const OVERVIEW = `
query Overview($range: TimeRange!, $day: TimeRange!, $window: Duration!, $by: ProductMeasure!, $status: SessionStatus) {
  asOf { epoch committedAt watermark lagSeconds freshnessSeconds }
  revenue(range: $range, window: $window) { windowStart category total count currency isFinal }
  topProducts(range: $range, by: $by, first: 8) { rank productId categories ${NUMBERS} }
  sales(range: $day, grain: HOUR) { windowStart revenue purchases uniqueCustomers currency isFinal }
  sessions(first: 14, status: $status) {
    nodes { id sessionId userId startedAt endedAt durationSeconds status events purchases revenue currency entryPage exitPage bounced }
  }
  rejections(range: $range) { rejected quarantined byReason { reason count source meaning remedy } quarantineByReason { reason count meaning remedy } }
  books { close residue checks { name meaning left right residue } totals { records applied duplicates conflicts quarantined rejected late } }
}`;

export const SESSION = `
query Session($id: ID!) {
  session(id: $id) {
    id sessionId userId startedAt endedAt durationSeconds status events views adds purchases revenue currency bounced lateEvents
    path { at action productId page eventId }
  }
}`;

const REALTIME_FIELDS = `
  asOf { epoch committedAt watermark lagSeconds freshnessSeconds }
  activeUsers eventsPerSecond viewsPerMinute revenueToday purchasesToday currency conversionRate cartAbandonmentRate
  series { minute views purchases revenue }`;

export const REALTIME = `query Realtime { realtime { ${REALTIME_FIELDS} } }`;
export const REALTIME_LIVE = `subscription Realtime { realtime { ${REALTIME_FIELDS} } }`;
