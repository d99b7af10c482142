import { once } from "node:events";
import { EXIT_CODES } from "./exit-codes.js";

/** Where a command's results and messages go. */
export interface Output {
  /** Writes a result, with a line break after it, to stdout; waits where the reader is slow. */
  line(text: string): Promise<void>;
  /** Says something to the user, on stderr. */
  message(text: string): void;
}

/** Output to stdout and stderr. */
export function createOutput(): Output {
  return {
    async line(text) {
      if (!process.stdout.write(`${text}\n`)) await once(process.stdout, "drain");
    },
    message(text) {
      process.stderr.write(`execution-store: ${text}\n`);
    },
  };
}

/** A reader of stdout that has seen enough, such as `head`, ends the process quietly; another fault with a sentence. */
export function exitWhenStdoutFails(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT_CODES.success);
    process.stderr.write(`execution-store: cannot write the result: ${error.message}\n`);
    process.exit(EXIT_CODES.fault);
  });
}
