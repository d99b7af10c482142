import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { preparePython, reasonOf } from "./python-environment.js";

const REQUIREMENTS = "clients/python/requirements-dev.txt";

/**
 * The path of a Python with what generates, checks and tests the Python client, as its requirements pin it. Throws with
 * instructions.
 */
export async function preparePythonTools(): Promise<string> {
  const version = createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex").slice(0, 12);
  try {
    return await preparePython({ name: `python-tools-${version}`, install: ["-r", REQUIREMENTS] });
  } catch (error) {
    throw new Error(
      `This needs python3 (3.9 or newer) with venv and pip, and a package index (Debian: apt install python3-venv).
Tried in vain: ${reasonOf(error)}`,
      { cause: error },
    );
  }
}
