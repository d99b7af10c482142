// Checks the Python client and its example as their tools are configured in pyproject.toml: format, lint, types.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { preparePythonTools } from "./python-tools.js";

const EXAMPLE = "examples/python";
const BESIDE = `../../${EXAMPLE}`;
const files = readdirSync(EXAMPLE).filter((name) => name.endsWith(".py"));
const CHECKS: readonly (readonly string[])[] = [
  ["ruff", "format", "--check", ".", BESIDE],
  ["ruff", "check", ".", BESIDE],
  ["mypy"],
  ["mypy", "--config-file", "pyproject.toml", ...files.map((name) => `${BESIDE}/${name}`)],
];

const python = await preparePythonTools();
for (const check of CHECKS) {
  try {
    execFileSync(python, ["-m", ...check], {
      cwd: "clients/python",
      env: { ...process.env, MYPYPATH: "src" },
      stdio: "inherit",
    });
  } catch {
    process.exitCode = 1; // said above
  }
}
