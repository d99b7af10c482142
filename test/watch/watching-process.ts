/** A program for tests: watches everything at an address, prints what it gets, a line a message, and how it ended. */

import { EVERYTHING } from "./checkers/everything.js";
import { openChannel, RecordedStream } from "./traffic/recorded-stream.js";

const channel = openChannel(process.argv[2] ?? "");
const stream = new RecordedStream(channel, "watch", EVERYTHING, undefined);
let printed = 0;
await stream.until(({ messages }) => {
  for (const { kind, events } of messages.slice(printed)) {
    process.stdout.write(
      `${JSON.stringify({ kind, etags: events.map(({ document: { version } }) => version?.etag) })}\n`,
    );
  }
  printed = messages.length;
  return false;
});
process.stdout.write(`${JSON.stringify({ end: stream.end })}\n`);
channel.close();
