import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  buildBeforeTests,
  builtFolder,
  firstAddress,
  runCli,
  spawnCli,
  startServer,
  withFolder,
} from "./cli-process.js";

buildBeforeTests();

const ROOT = join(import.meta.dirname, "../..");
const LISTEN = ["--listen", "127.0.0.1:0"];

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Starts that must fail share their form: one sentence on stderr, nothing on stdout. */
async function refused(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr } = await runCli(["serve", ...args], { env });
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^execution-store: [^\n]+\n$/);
  return { code, sentence: stderr.slice("execution-store: ".length, -1) };
}

describe.concurrent("serve", { timeout: 60_000 }, () => {
  it("says where it serves, and drains and exits with 0 on SIGTERM", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "data");
      const server = await startServer(["--store", `lmdb:${path}`, ...LISTEN]);
      expect(await server.logged("serving")).toMatchObject({
        store: `lmdb:${path}`,
        startupMs: expect.any(Number),
      });
      expect(server.addresses).toEqual([expect.stringMatching(/^127\.0\.0\.1:[1-9]\d*$/)]);
      server.kill("SIGTERM");
      const { code, log } = await server.ended;
      expect(code).toBe(0);
      expect(log.map(({ msg }) => msg)).toEqual(["serving", "stopping", "stopped"]);
    });
  });

  it("stops without a drain, and with 0, on a SIGTERM during the start", async () => {
    await withFolder(async (folder) => {
      // So many addresses that the start outlasts the way of the signal; the drain would outlast the test.
      const listen = Array.from({ length: 300 }, () => LISTEN).flat();
      const args = ["--drain-delay", "1h", "--log-level", "debug", "--store", `lmdb:${folder}/x`];
      const child = spawnCli(["serve", ...args, ...listen]);
      let log = "";
      child.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
      const ended = once(child, "close");
      await once(child.stderr, "data");
      child.kill("SIGTERM");
      expect(await ended).toEqual([0, null]);
      expect(log.split("\n").filter((line) => / ?"msg":"(?:starting|serving|stopp)/.test(line))).toEqual([
        expect.stringContaining('"starting"'),
        expect.stringContaining('"stopping"'),
        expect.stringContaining('"stopped"'),
      ]);
    });
  });

  it("stops when npm, which started it, is told to", async () => {
    await withFolder(async (folder) => {
      const { scripts } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as {
        scripts: Record<string, string>;
      };
      // The script as it is, on what was built for these tests.
      await writeFile(join(folder, "package.json"), JSON.stringify({ scripts: { start: scripts["start"] } }));
      await symlink(builtFolder(), join(folder, "dist"));
      const child = spawn("npm", ["start", "--", "--store", `lmdb:${folder}/x`, ...LISTEN], {
        cwd: folder,
        stdio: ["ignore", "ignore", "pipe"],
      });
      const ended = once(child, "close");
      let log = "";
      for await (const chunk of child.stderr) {
        log += String(chunk);
        if (log.includes('"msg":"serving"')) break;
      }
      const pid = Number(/"pid":(\d+)/.exec(log)?.[1]);
      expect(pid).toBeGreaterThan(0);
      try {
        child.kill("SIGTERM");
        expect(await ended).toEqual([0, null]);
        await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false);
      } finally {
        if (isRunning(pid)) process.kill(pid, "SIGKILL");
      }
    });
  });

  it("warns of variables that no option has", async () => {
    await withFolder(async (folder) => {
      const env = { EXECUTION_STORE_LISTN: "127.0.0.1:1", EXECUTION_STORE_TIMEOUT: "1s" };
      const server = await startServer(["--store", `lmdb:${folder}/x`, ...LISTEN], { env });
      server.kill("SIGTERM");
      const { log } = await server.ended;
      expect(log.filter(({ level }) => level === "warn").map(({ msg }) => msg)).toEqual([
        "the variable EXECUTION_STORE_LISTN belongs to no option and is ignored; did you mean EXECUTION_STORE_LISTEN?",
      ]);
    });
  });

  it("refuses an option given twice, of which one would be ignored", async () => {
    expect(await refused(["--history-time", "1h", "--history-time", "2h"])).toEqual({
      code: 2,
      sentence: "--history-time is given more than once; expected it once",
    });
  });

  it("exits with 1 if a socket's folder is not there, or is a file", async () => {
    await withFolder(async (folder) => {
      const store = ["--store", `lmdb:${folder}/x`];
      const missing = `unix:${folder}/none/s.sock`;
      expect(await refused([...store, "--listen", missing])).toEqual({
        code: 1,
        sentence: `cannot listen on ${missing}, since the folder ${folder}/none does not exist; create it, or choose another --listen`,
      });
      await writeFile(join(folder, "file"), "");
      const { code, sentence } = await refused([...store, "--listen", `unix:${folder}/file/s.sock`]);
      expect(code).toBe(1);
      expect(sentence).toContain(`${folder}/file is no folder`);
      expect(sentence).not.toContain("port");
    });
  });

  it.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("ends at once on a second signal, %s, with %d", async (second, code) => {
    await withFolder(async (folder) => {
      const first = second === "SIGTERM" ? "SIGINT" : "SIGTERM";
      const server = await startServer(["--store", `lmdb:${folder}/x`, ...LISTEN, "--drain-delay", "1h"]);
      server.kill(first);
      await server.logged("stopping");
      server.kill(second);
      expect((await server.ended).code).toBe(code);
    });
  });

  it("serves a second address, unix sockets included, and takes the socket away", async () => {
    await withFolder(async (folder) => {
      const socket = `unix:${folder}/s.sock`;
      const server = await startServer(["--store", `lmdb:${folder}/x`, ...LISTEN, "--listen", socket]);
      expect(server.addresses[1]).toBe(socket);
      for (const address of server.addresses) {
        expect((await runCli(["info", "--address", address])).code).toBe(0);
      }
      server.kill("SIGTERM");
      expect((await server.ended).code).toBe(0);
      await expect(stat(`${folder}/s.sock`)).rejects.toThrow("ENOENT");
    });
  });

  it("goes on when nobody reads its log any more", async () => {
    await withFolder(async (folder) => {
      const socket = `unix:${folder}/s.sock`;
      const args = ["serve", "--store", `lmdb:${folder}/x`, "--listen", socket, "--log-level", "debug"];
      const child = spawnCli(args);
      const ended = once(child, "close");
      for await (const lines of child.stderr) if (String(lines).includes('"serving"')) break;
      // Both log: one while it serves, the other when it stops.
      expect((await runCli(["info", "--address", socket])).code).toBe(0);
      child.kill("SIGTERM");
      expect(await ended).toEqual([0, null]);
    });
  });

  it("is configured by file, environment and flags together", async () => {
    await withFolder(async (folder) => {
      const config = join(folder, "server.yaml");
      await writeFile(config, "listen: 127.0.0.1:1\nstore: lmdb:./from-file\nlog-level: error\n");
      const env = { EXECUTION_STORE_CONFIG: config, EXECUTION_STORE_LOG_LEVEL: "info" };
      const server = await startServer(LISTEN, { cwd: folder, env });
      expect((await server.logged("serving"))["store"]).toMatch(/\/from-file$/);
      server.kill("SIGTERM");
      expect((await server.ended).code).toBe(0);
    });
  });

  it("keeps what was written, over a restart", async () => {
    await withFolder(async (folder) => {
      const args = ["--store", `lmdb:${folder}/x`, ...LISTEN];
      const first = await startServer(args);
      expect((await runCli(["set", "s", "k", "[1]", "--address", firstAddress(first)])).code).toBe(0);
      first.kill("SIGTERM");
      await first.ended;
      const second = await startServer(args);
      expect((await runCli(["get", "s", "k", "--address", firstAddress(second)])).stdout).toBe("[\n  1\n]\n");
      second.kill("SIGTERM");
      await second.ended;
    });
  });

  it("exits with 2 and a sentence for wrong configuration", async () => {
    expect(await refused(["--history-time", "10"])).toEqual({
      code: 2,
      sentence: expect.stringMatching(/^--history-time "10" has no unit; expected a number with a unit/),
    });
    expect(await refused([], { EXECUTION_STORE_LISTEN: "0.0.0.0:1" })).toEqual({
      code: 2,
      sentence: expect.stringMatching(
        /^the variable EXECUTION_STORE_LISTEN names 0\.0\.0\.0:1, which other machines/,
      ),
    });
    expect(await refused(["--store", "mongodb://me:hun/ter2@db"])).toEqual({
      code: 2,
      sentence: expect.stringMatching(/^--store has an "@" after (?!.*ter2)/),
    });
    expect(await refused(["--lissen", "x"])).toEqual({
      code: 2,
      sentence: expect.stringMatching(/^unknown option '--lissen' \(Did you mean --listen\?\)/),
    });
  });

  it("exits with 2 for an unknown key of the file, and names the nearest", async () => {
    await withFolder(async (folder) => {
      const config = join(folder, "server.yaml");
      await writeFile(config, "stroe: lmdb:./x\n");
      expect(await refused(["--config", config])).toEqual({
        code: 2,
        sentence: `"stroe" in ${config} is no option; did you mean store?`,
      });
    });
  });

  it("exits with 1 if the port is taken", async () => {
    await withFolder(async (folder) => {
      const server = await startServer(["--store", `lmdb:${folder}/x`, ...LISTEN]);
      const address = firstAddress(server);
      const { code, sentence } = await refused(["--store", `lmdb:${folder}/y`, "--listen", address]);
      expect(code).toBe(1);
      expect(sentence).toContain(`cannot listen on ${address}, since another process does`);
      server.kill("SIGTERM");
      await server.ended;
    });
  });

  it("exits with 1 if another server owns the store", async () => {
    await withFolder(async (folder) => {
      const server = await startServer(["--store", `lmdb:${folder}/x`, ...LISTEN]);
      const { code, sentence } = await refused(["--store", `lmdb:${folder}/x`, ...LISTEN]);
      expect(code).toBe(1);
      expect(sentence).toMatch(
        /in use by process \d+ on .*; stop that one first, or choose another directory$/,
      );
      server.kill("SIGTERM");
      expect((await server.ended).code).toBe(0);
    });
  });

  it("exits with 1 if the store cannot be a directory", async () => {
    await withFolder(async (folder) => {
      await writeFile(join(folder, "file"), "");
      for (const path of ["file", "file/below"]) {
        const { code, sentence } = await refused(["--store", `lmdb:${folder}/${path}`, ...LISTEN]);
        expect(code).toBe(1);
        expect(sentence).toContain("is a file; expected a directory");
      }
    });
  });

  it.skipIf(process.getuid?.() === 0)(
    "exits with 1 if this user may not write there (not as root, who may)",
    async () => {
      await withFolder(async (folder) => {
        await mkdir(join(folder, "closed"));
        await chmod(join(folder, "closed"), 0o500);
        const { code, sentence } = await refused(["--store", `lmdb:${folder}/closed/x`, ...LISTEN]);
        expect(code).toBe(1);
        expect(sentence).toContain("this user may not write there");
      });
    },
  );
});
