// Checks the Python client as its tools are configured in pyproject.toml: format, lint, types.
import { execFileSync } from "node:child_process";
import { preparePythonTools } from "./python-tools.js";

const CHECKS = [["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy"]] as const;

const python = await preparePythonTools();
for (const [module, ...args] of CHECKS) {
  try {
    execFileSync(python, ["-m", module, ...args], { cwd: "clients/python", stdio: "inherit" });
  } catch {
    process.exitCode = 1; // said above
  }
}
