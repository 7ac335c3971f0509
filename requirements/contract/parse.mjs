// Opens AsyncAPI documents as AsyncAPI Studio does, with the same parser. Anything that it has to say is a failure.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const parser = new Parser();
let failed = false;
for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await parser.parse(readFileSync(file, "utf8"), { source: file });
  failed ||= document === undefined || diagnostics.length > 0;
  const channels = document?.allChannels().length ?? "no";
  console.log(`${file}: ${channels} channels, ${diagnostics.length} findings`);
  for (const one of diagnostics) console.error(`  ${one.path.join("/")}: ${one.message} (${one.code})`);
}
process.exit(failed ? 1 : 0);
