import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's version, from its package.json, which lies above the sources and above what is built of them. */
export function packageVersion(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && folder !== dirname(folder)) folder = dirname(folder);
  const description: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const version = (description as { version?: unknown }).version;
  return typeof version === "string" ? version : "unknown";
}
