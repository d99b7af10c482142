import { existsSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { PassThrough } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { serialize } from "bson";
import { describe, expect, test } from "vitest";
import { copy, type Open } from "../../src/cli/copy.js";
import { createProgress } from "../../src/cli/progress.js";
import { parseStoreUri } from "../../src/config/store-uri.js";
import { COLLECTION, openLmdb } from "../support/archives.js";
import { checkLmdb } from "../support/check-lmdb.js";
import { tempDir } from "../support/temp-dir.js";
import { buildBeforeTests, runCli, startServer } from "./cli-process.js";
import {
  directory,
  expectRest,
  fillWith,
  hasSome,
  interrupt,
  newTarget,
  pathOf,
  runCopy,
  SCOPE,
  said,
  write,
} from "./copy-process.js";

buildBeforeTests();

/** Documents enough to be interrupted amid them. */
const MANY = 20_000;

describe("between directories", () => {
  test("copies, says what it did, and does nothing the second time", async () => {
    const source = await directory(async (engine) => {
      await engine.setKey(SCOPE, "store", "a", write(1));
      await engine.setKey(SCOPE, "store", "b", write(2));
      await engine.createStore(SCOPE, "store", serialize({ a: 1 }), "persist");
    });
    const target = newTarget();
    expect(await runCopy(source, target)).toEqual({
      code: 0,
      signal: null,
      stdout:
        "execution_store: 3 documents copied, 0 already there and equal\n" +
        "execution_store: verified: 3 documents of the source, all in the target and equal\n",
      stderr: "",
    });
    expect(await runCopy(source, target)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("0 documents copied, 3 already there and equal") as string,
    });
    const engine = await openLmdb({ path: pathOf(target) });
    expect(await engine.countKeys(SCOPE, "store", "")).toBe(2);
  });

  test("leaves what differs, names it and exits with 1; --overwrite replaces it", async () => {
    const source = await directory(async (engine) => {
      for (let index = 0; index < 23; index += 1)
        await engine.setKey(SCOPE, "store", `k${index}`, write("new"));
      await engine.setKey(
        { ...SCOPE, datasetId: "65f0c0ffee65f0c0ffee65f0" },
        "a\u001b",
        "key",
        write("new"),
      );
    });
    const target = await directory(async (engine) => {
      for (let index = 0; index < 23; index += 1)
        await engine.setKey(SCOPE, "store", `k${index}`, write("secret"));
      await engine.setKey(
        { ...SCOPE, datasetId: "65f0c0ffee65f0c0ffee65f0" },
        "a\u001b",
        "key",
        write("secret"),
      );
    });
    const refused = await runCopy(source, target);
    expect(refused.code).toBe(1);
    expect(refused.stdout).toContain(
      "0 documents copied, 0 already there and equal, 24 different in the target and left as they are there\n",
    );
    expect(refused.stdout).toContain(
      "24 documents of the source, of which the target has 0 equal, 24 different, 0 not at all",
    );
    expect(refused.stderr).toContain('execution-store: different in the target: store "store", key "k0"\n');
    expect(refused.stderr).toContain("different in the target: 4 more\n");
    expect(refused.stderr).toContain("run the command again with --overwrite");
    expect(refused.stderr).not.toContain("secret");
    expect(await runCopy(source, target, "--overwrite")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("0 already there and equal, 24 replaced\n") as string,
      stderr: "",
    });
    expect(await runCopy(source, target)).toMatchObject({ code: 0 });
  });

  test("copies the collections that are named, besides the default one", async () => {
    const both = [COLLECTION, "tenants"];
    const source = await directory(async (engine) => {
      for (const collection of both) await engine.setKey({ ...SCOPE, collection }, "store", "key", write(1));
    }, both);
    const target = newTarget();
    const { stdout, code } = await runCopy(source, target, "--collections", "tenants");
    expect(code).toBe(0);
    expect(stdout).toContain("tenants: verified: 1 document of the source, all in the target and equal\n");
    expect(stdout).toContain("execution_store: 1 document copied");
  });

  test("says in one sentence what is wrong with its arguments", async () => {
    const source = await directory((engine) => engine.setKey(SCOPE, "store", "key", write(1)));
    const missing = join(tempDir(), "missing");
    const file = join(tempDir(), "file");
    writeFileSync(file, "");
    const link = join(tempDir(), "link");
    symlinkSync(pathOf(source), link);
    const target = newTarget();
    const cases: readonly [string[], number, RegExp][] = [
      [[source, source], 2, /name the same store; expected two different ones/],
      [["/tmp/x", target], 2, /SOURCE_URI "\/tmp\/x" names no engine; expected/],
      [[source, "mongodb://user:hunter2@"], 2, /TARGET_URI/],
      [[source, "mongodb://user:hunter2@127.0.0.1:1/db?w=1"], 2, /TARGET_URI has w=1/],
      [[`lmdb:${missing}`, target], 1, /there is no database in .*missing; check the path/],
      [[source], 2, /TARGET_URI is missing; expected .* in the variable EXECUTION_STORE_COPY_TARGET/],
      [[], 2, /SOURCE_URI is missing; expected .* in the variable EXECUTION_STORE_COPY_SOURCE/],
      [[source, `lmdb:${file}/x`], 1, /is a file; expected a directory, so choose another TARGET_URI/],
      [[`lmdb:${file}/x`, target], 1, /there is no database in .*x; check the path/],
      [[source, `lmdb:${link}`], 2, /name the same store; expected two different ones/],
      [[source, `lmdb:${link}/../${basename(link)}`], 2, /name the same store; expected two different ones/],
      [[source, target, "--collections", "a$b"], 2, /cannot name a collection/],
    ];
    for (const [args, code, problem] of cases) {
      const result = await runCopy(...args);
      expect(result, args.join(" ")).toMatchObject({ code, stdout: "" });
      expect(result.stderr).toMatch(problem);
      expect(result.stderr.trim().split("\n")).toHaveLength(1);
      expect(result.stderr).not.toContain("hunter2");
    }
    expect(existsSync(missing)).toBe(false);
    expect(existsSync(pathOf(target))).toBe(false);
  });

  test("takes from variables what no argument names", async () => {
    const source = await directory((engine) => engine.setKey(SCOPE, "store", "key", write(1)));
    const target = newTarget();
    const env = { EXECUTION_STORE_COPY_SOURCE: source, EXECUTION_STORE_COPY_TARGET: target };
    expect(await runCli(["copy"], { env })).toMatchObject({ code: 0, stderr: "" });
    const other = { ...env, EXECUTION_STORE_COPY_SOURCE: "nothing" };
    expect(await runCli(["copy", source], { env: other })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("0 documents copied, 1 already there and equal") as string,
    });
    const malformed = { ...env, EXECUTION_STORE_COPY_TARGET: "mongodb://user:hunter2@" };
    const refused = await runCli(["copy"], { env: malformed });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(
      /^execution-store: the variable EXECUTION_STORE_COPY_TARGET names no host/,
    );
    expect(refused.stderr).not.toContain("hunter2");
  });

  test("does not touch a directory that a server has", async () => {
    const source = await directory((engine) => engine.setKey(SCOPE, "store", "key", write(1)));
    const server = await startServer(["--store", source, "--listen", "127.0.0.1:0"]);
    const result = await runCopy(source, newTarget());
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toMatch(
      new RegExp(
        `^execution-store: the database in .* is in use by process ${server.pid} .*; stop that one first`,
      ),
    );
    server.kill("SIGTERM");
    expect((await server.ended).code).toBe(0);
  });
});

describe("interrupted", () => {
  test("by SIGKILL, it goes on where it was", { timeout: 60_000 }, async () => {
    const source = await directory(fillWith(MANY));
    const target = newTarget();
    expect(await interrupt([source, target], "SIGKILL", hasSome(target))).toMatchObject({
      signal: "SIGKILL",
    });
    const path = pathOf(target);
    await expectRest(source, target, MANY, (await checkLmdb(path)).documents);
    expect(await checkLmdb(path)).toMatchObject({ documents: MANY });
  });

  test("by Ctrl-C, it ends in order and says how to go on", { timeout: 60_000 }, async () => {
    const source = await directory(fillWith(MANY));
    const target = newTarget();
    const { code, stdout, stderr } = await interrupt([source, target], "SIGINT", hasSome(target));
    expect({ code, stdout, said: said(stderr) }).toEqual({
      code: 130,
      stdout: "",
      said: "execution-store: the copy was interrupted; what was copied stays, and the same command goes on from there\n",
    });
    await expectRest(source, target, MANY, (await checkLmdb(pathOf(target))).documents);
  });
});

test("tells of documents that came or changed while it ran", async () => {
  const source = await openLmdb();
  await fillWith(5000)(source);
  const target = await openLmdb();
  let parts = 0;
  const open: Open = async (_, role) => {
    const { archive } = role === "source" ? source : target;
    return {
      archive: {
        ...archive,
        async *read(collection, options) {
          for await (const part of archive.read(collection, options)) {
            yield part;
            parts += 1;
            // The first store has been copied by now.
            if (parts !== 3) continue;
            await source.setKey(SCOPE, "store-0", "key-0", write("changed"));
            await source.setKey(SCOPE, "store-0", "came", write("new"));
          }
        },
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  };
  const lines: string[] = [];
  const output = {
    line: async (line: string) => void lines.push(line),
    message: (line: string) => void lines.push(line),
  };
  const run = (overwrite: boolean): Promise<number> => {
    const locations = { source: parseStoreUri("lmdb:a"), target: parseStoreUri("lmdb:b") };
    return copy({ ...locations, collections: [COLLECTION], overwrite }, open, output, AbortSignal.any([]));
  };
  expect(await run(false)).toBe(1);
  expect(lines).toEqual([
    "execution_store: 5,000 documents copied, 0 already there and equal",
    "execution_store: verified: 5,001 documents of the source, of which the target has 4,999 equal, 1 different, 1 not at all",
    "execution_store: documents came or changed while they were copied; stop what writes to the source and the target, then run the command again with --overwrite",
  ]);
  expect(await run(true)).toBe(0);
});

test("shows a bar on a terminal", async () => {
  const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 120 });
  const progress = await createProgress(() => expect.unreachable("there is a terminal"), terminal);
  progress.start("copying", 3000);
  progress.advance(1500);
  progress.advance(2500);
  progress.end();
  terminal.end();
  const shown = await textOf(terminal);
  expect(shown).toContain("copying [");
  expect(shown).toContain("4,000 of about 4,000 documents");
});
