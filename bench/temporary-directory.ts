import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { killChildren } from "./children.js";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** A directory for the databases that goes, with every server, when this process ends in whatever way it can notice. */
export function temporaryDirectory(parent: string): string {
  const directory = mkdtempSync(join(parent, "execution-store-bench-"));
  process.on("exit", () => {
    killChildren();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  for (const [signal, code] of Object.entries(SIGNALS)) process.on(signal, () => process.exit(code));
  return directory;
}
