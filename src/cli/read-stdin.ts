import { ConfigError } from "../config/config-error.js";

/** JSON takes at most six bytes for one of the value's, so that no valid value is refused here. */
const MAX_BYTES = 128 * 1024 * 1024;

/** All of stdin as text. Throws ConfigError if it is no UTF-8 or larger than any value can be. */
export async function readStdin(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write("execution-store: reading JSON; end it with Ctrl-D\n");
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BYTES) {
      throw new ConfigError("standard input is larger than 128 MiB; expected JSON of a value up to 15 MiB");
    }
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new ConfigError("standard input is not UTF-8 text; expected JSON");
  }
}
