import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { COPY_OPTIONS } from "../../src/cli/add-copy-command.js";
import { CLIENT_OPTIONS } from "../../src/cli/client-options.js";
import { type Options, variableOf } from "../../src/config/options.js";
import { SERVE_OPTIONS } from "../../src/config.js";
import { buildBeforeTests, runCli } from "./cli-process.js";

buildBeforeTests();

const COMMANDS = {
  serve: [],
  get: ["--json"],
  set: ["--json", "--ttl", "--policy", "--if-absent"],
  delete: ["--json"],
  keys: ["--json", "--prefix", "--long"],
  watch: ["--json", "--key", "--prefix", "--all-contexts", "--snapshot", "--since"],
  stores: ["--json", "--prefix", "--all-contexts"],
  info: ["--json"],
  health: ["--json"],
  copy: ["--overwrite"],
};

const TABLES: Readonly<Record<string, Options>> = { serve: SERVE_OPTIONS, copy: COPY_OPTIONS };

describe.concurrent("help", { timeout: 60_000 }, () => {
  it("lists every command, examples and exit codes", async () => {
    const { code, stdout, stderr } = await runCli(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const command of Object.keys(COMMANDS)) expect(stdout).toMatch(new RegExp(`^ {2}${command} `, "m"));
    expect(stdout).toContain("$ execution-store serve");
    expect(stdout).toContain("  3  the key or store is not there");
  });

  it.each(Object.entries(COMMANDS))(
    "of %s explains every option with default and variable",
    async (command, own) => {
      const { code, stdout } = await runCli([command, "--help"]);
      expect(code).toBe(0);
      const plain = stdout.replaceAll(/\s+/g, " ");
      for (const option of Object.values(TABLES[command] ?? CLIENT_OPTIONS)) {
        expect(plain).toContain(`--${option.name} `);
        expect(plain).toContain(`Variable: ${variableOf(option)}.`);
        expect(plain).toContain(option.help);
        for (const text of option.fallback ?? [])
          expect(plain).toContain(`Default: ${text}. Variable: ${variableOf(option)}.`);
      }
      for (const flag of own) expect(plain).toContain(`${flag} `);
      expect(plain).toContain("Examples:");
    },
  );

  it("is what a bare call prints, with exit code 2", async () => {
    const { code, stdout, stderr } = await runCli([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("Usage: execution-store");
  });

  it("suggests the command that was meant", async () => {
    const { code, stderr } = await runCli(["srve"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^execution-store: unknown command 'srve' \(Did you mean serve\?\)[^\n]*\n$/);
  });

  it("--version prints the package's version", async () => {
    const description = JSON.parse(
      await readFile(new URL("../../package.json", import.meta.url), "utf8"),
    ) as { version: string };
    expect(await runCli(["--version"])).toMatchObject({ code: 0, stdout: `${description.version}\n` });
  });
});
