// GraphiQL over the public API. Everything is asked for as an event stream, which a query ends after one answer. The key is the page's.

import { authorization } from "/page/js/key.js";

const EXAMPLE = `# Ctrl-Enter runs it; Ctrl-Space says what may stand here. With “subscription” it is answered again with each commit.
{
  realtime {
    asOf { epoch committedAt }
    activeUsers
    eventsPerSecond
    revenueToday
    currency
  }
}
`;
const EVENTS = "text/event-stream";

function post(request, more = {}) {
  const headers = new Headers({ "Content-Type": "application/json", Accept: EVENTS, ...authorization() });
  for (const [name, value] of Object.entries(more)) headers.set(name, value); // of another key, say
  return fetch("/graphql", { method: "POST", headers, body: JSON.stringify(request) });
}

/** The answers of an event stream, as they come. Each event of ours has its data in one line. */
async function* events(response) {
  if (!response.headers.get("Content-Type")?.startsWith(EVENTS)) return yield await response.json();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let kept = ""; ;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (kept + value).split("\n\n");
      kept = parts.pop();
      for (const part of parts) {
        const data = part.split("\n").find((line) => line.startsWith("data: "));
        if (data) yield JSON.parse(data.slice(6));
      }
    }
  } finally {
    await reader.cancel();
  }
}

const { GraphiQL } = window;
window.ReactDOM.createRoot(document.getElementById("graphiql")).render(window.React.createElement(GraphiQL, {
  fetcher: async (request, { headers } = {}) => events(await post(request, headers)),
  defaultQuery: EXAMPLE,
  shouldPersistHeaders: false, // there may be a key in them
}));
