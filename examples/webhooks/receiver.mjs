// Receives results by HTTP: verifies each call, applies each event once, and answers before it works on anything.
//
//   npm install
//   WEBHOOK_SECRET=whsec_... node receiver.mjs 8000
//
// It keeps the ids in a file. In your system, store the id in the transaction that applies the event.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const MAX_BYTES = 1_000_000;
const file = process.env.EVENTS_FILE ?? "events.txt";
const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const applied = new Set(existsSync(file) ? readFileSync(file, "utf8").split("\n") : []);

async function bodyOf(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function receive(body, headers) {
  const event = webhook.verify(body, headers); // over the body as received, before it is parsed
  const id = headers["webhook-id"];
  if (!applied.has(id)) { // a repeat changes nothing
    appendFileSync(file, `${id}\n`); // before the answer: what was answered is stored
    applied.add(id);
    console.log(event.type, event.data.event_id);
  }
  return 204;
}

createServer(async (request, response) => {
  let status = 413;
  try {
    const body = await bodyOf(request);
    if (body !== null) status = receive(body, request.headers);
  } catch (error) {
    status = error instanceof WebhookVerificationError ? 401 : 500;
  }
  response.writeHead(status).end();
}).listen(Number(process.argv[2]), "127.0.0.1", () => console.log("listening"));
