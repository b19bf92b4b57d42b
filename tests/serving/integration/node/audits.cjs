// Runs the audits of graphql-http against a server: `node audits.cjs URL` prints one object per audit.

const { serverAudits } = require("graphql-http");

async function main(url) {
  const found = [];
  for (const audit of serverAudits({ url })) {
    const { status, reason } = await audit.fn();
    found.push({ id: audit.id, name: audit.name, status, reason: reason ?? null });
  }
  console.log(JSON.stringify(found));
}

main(process.argv[2]);
