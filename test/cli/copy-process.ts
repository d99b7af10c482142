import { once } from "node:events";
import { statSync } from "node:fs";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { serialize } from "bson";
import { expect } from "vitest";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import type { Engine, Write } from "../../src/store/engine.js";
import { COLLECTION } from "../support/archives.js";
import { tempDir } from "../support/temp-dir.js";
import { until } from "../support/until.js";
import { type CliResult, runCli, spawnCli } from "./cli-process.js";

/** Where the documents of these tests are, unless they say otherwise. */
export const SCOPE = { collection: COLLECTION, datasetId: "" };

/** A write that does not expire. */
export function write(value: unknown): Write {
  return { value: serialize({ value }), ttlMs: undefined, policy: "persist" };
}

/** Fills a directory and answers its URI. */
export async function directory(
  fill: (engine: Engine) => Promise<unknown>,
  collections: readonly string[] = [COLLECTION],
  path = tempDir(),
): Promise<string> {
  const engine = await openLmdbEngine({ path, collections });
  await fill(engine);
  await engine.close();
  return `lmdb:${path}`;
}

/** Fills stores with thousands of small documents. */
export const fillWith =
  (count: number) =>
  async (engine: Engine): Promise<void> => {
    for (let at = 0; at < count; at += 1000) {
      const entries = Array.from({ length: 1000 }, (_, index) => ({
        key: `key-${at + index}`,
        ...write("x".repeat(200)),
      }));
      await engine.batchSetKeys(SCOPE, `store-${at}`, entries);
    }
  };

/** The path of a directory's URI. */
export function pathOf(uri: string): string {
  return uri.slice("lmdb:".length);
}

/** A directory that is not there yet. */
export function newTarget(): string {
  return `lmdb:${join(tempDir(), "target")}`;
}

/** Runs the command to its end. */
export const runCopy = (...args: readonly string[]): Promise<CliResult> => runCli(["copy", ...args]);

/** Starts a copy, and ends it by a signal, if one is named, when something of it is there. */
export async function interrupt(
  args: readonly string[],
  signal: NodeJS.Signals | undefined,
  begun: () => boolean | Promise<boolean>,
): Promise<CliResult> {
  const child = spawnCli(["copy", ...args]);
  child.stdin.end();
  const output = Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  await until(begun, "the copy has begun");
  if (signal !== undefined) child.kill(signal);
  const [code, endedBy] = await ended;
  const [stdout, stderr] = await output;
  return { code, signal: endedBy, stdout, stderr };
}

/** Whether a target directory has more than an empty database. */
export function hasSome(target: string): () => boolean {
  const file = join(pathOf(target), "data.mdb");
  return () => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 500_000;
}

/** What a copy has said on stderr, but for how far it was: how often it says that depends on the machine. */
export function said(stderr: string): string {
  return stderr.replace(/^execution-store: (?:copying|verifying) .* of about .* documents\n/gm, "");
}

/** Runs the rest of a copy of so many documents, of which some are there. */
export async function expectRest(source: string, target: string, many: number, there: number): Promise<void> {
  expect(there).toBeGreaterThan(0);
  expect(there).toBeLessThan(many);
  const { code, stdout, stderr } = await runCopy(source, target);
  expect({ code, said: said(stderr) }).toEqual({ code: 0, said: "" });
  expect(stdout).toContain(
    `execution_store: ${(many - there).toLocaleString("en")} documents copied, ${there.toLocaleString("en")} already`,
  );
  expect(stdout).toContain(
    `verified: ${many.toLocaleString("en")} documents of the source, all in the target`,
  );
}
