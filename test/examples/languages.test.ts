import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { ExecutionStore } from "execution-store";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { type Analysis, analyze, contentHash } from "../../examples/typescript/analyze.js";
import { walk } from "../../examples/typescript/walk.js";
import type { Progress } from "../../examples/typescript/worker.js";
import { tempDir } from "../support/temp-dir.js";
import {
  LANGUAGES,
  type Language,
  NEIGHBOURS,
  prepareWorkers,
  resultOf,
  type StartWorker,
} from "./language-workers.js";
import { startLmdbServer } from "./lmdb-server.js";
import { writeSampleFiles } from "./sample-files.js";

// Each of them starts several processes.
vi.setConfig({ testTimeout: 60_000 });

const WRONG_ARGUMENTS = [
  [],
  ["--colour"],
  ["folder", "--store"],
  ["one", "two"],
  ["folder", "--watch"],
  ["--watch", "--clear"],
];

let start: StartWorker;
beforeAll(async () => {
  start = await prepareWorkers();
}, 600_000); // where nothing is compiled yet, the gRPC library is, too

async function openStore(): Promise<{ address: string; store: ExecutionStore; folder: string }> {
  const address = await startLmdbServer();
  const store = ExecutionStore.create("file-statistics", { address });
  onTestFinished(() => store.close());
  return { address, store, folder: tempDir() };
}

/** Many files, which take a while. */
function writeManyFiles(folder: string): number {
  const count = 400;
  for (let index = 0; index < count; index += 1) {
    writeFileSync(join(folder, `${index}.txt`), `${index} `.repeat(20_000));
  }
  return count;
}

async function run(language: Language, ...args: string[]): Promise<string> {
  const result = await resultOf(start(language, args));
  expect(result, language).toMatchObject({ code: 0, stderr: "" });
  return result.stdout;
}

function counted(output: string): { computed: number; served: number } {
  const [, computed, served] = /(\d+) computed, (\d+) served from the store, 0 failed/.exec(output) ?? [];
  return { computed: Number(computed), served: Number(served) };
}

function withoutTime({ computeMs, ...rest }: Analysis): unknown {
  expect(computeMs).toBeGreaterThanOrEqual(0);
  return rest;
}

test.for(LANGUAGES)(
  "what the worker in %s computes is what all say, and the others are served",
  async (first) => {
    const { address, store, folder } = await openStore();
    const total = writeSampleFiles(folder);
    expect(counted(await run(first, folder, "--address", address))).toEqual({ computed: total, served: 0 });
    for (const { path } of await walk(folder)) {
      const stored = await store.get<Analysis>(`analysis:${await contentHash(path)}`);
      expect(stored && withoutTime(stored), path).toEqual(withoutTime(await analyze(path)));
    }
    const before = await store.get<Progress>("progress");
    for (const other of LANGUAGES.filter((language) => language !== first)) {
      expect(counted(await run(other, folder, "--address", address)), other).toEqual({
        computed: 0,
        served: total,
      });
      const progress = await store.get<Progress>("progress");
      expect(progress, other).toEqual({
        ...before,
        computed: 0,
        served: total,
        savedMs: expect.closeTo(progress?.savedMs ?? 0, 3),
        savedBytes: (await walk(folder)).reduce((sum, file) => sum + file.bytes, 0),
      });
      expect(progress?.savedMs).toBeGreaterThan(0);
    }
    // The names of versions are the same, too: whoever came second found them all.
    expect(await store.service.countKeys("file-statistics", { prefix: "hash-of:" })).toBe(total);
  },
);

test.for(NEIGHBOURS)(
  "a worker in %s that is killed half-way is continued by one in %s",
  async ([first, next]) => {
    const { address, store, folder } = await openStore();
    const total = writeManyFiles(folder);
    const computed = () => store.service.countKeys("file-statistics", { prefix: "analysis:" });
    const worker = start(first, [folder, "--address", address]);
    const exited = once(worker, "exit");
    await expect.poll(computed, { timeout: 20_000, interval: 5 }).toBeGreaterThan(10);
    worker.kill("SIGKILL");
    await exited;
    const finished = await computed();
    expect(finished).toBeLessThan(total);
    const continued = counted(await run(next, folder, "--address", address));
    // What was on its way to the server at the end may have arrived after it.
    expect(continued.served).toBeGreaterThanOrEqual(finished);
    expect(continued).toEqual({ computed: total - continued.served, served: continued.served });
    expect(await computed()).toBe(total);
  },
);

test.for(NEIGHBOURS)(
  "a process in %s follows the progress of a worker in %s live",
  async ([watcher, language]) => {
    const { address, store, folder } = await openStore();
    const total = writeManyFiles(folder);
    // Of the run before, which does not end the watch.
    await store.set("progress", { state: "finished", total: 1, done: 1, computed: 1, served: 0, failed: 0 });
    const watch = start(watcher, ["--watch", "--address", address]);
    const watching = createInterface({ input: watch.stderr })[Symbol.asyncIterator]();
    expect((await watching.next()).value).toBe('watching the progress in "file-statistics"');
    const lines = createInterface({ input: watch.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe(
      "finished: 1/1 files: 1 computed, 0 served from the store, 0 failed",
    );

    const worker = start(language, [folder, "--address", address]);
    const ended = resultOf(worker);
    await expect
      .poll(() => store.get<Progress>("progress"), { timeout: 20_000, interval: 5 })
      .toMatchObject({ state: "running" });
    // A worker that stands still cannot have finished: what is told now is told live.
    worker.kill("SIGSTOP");
    const told = [String((await lines.next()).value)];
    expect(told[0]).toMatch(new RegExp(`^running: \\d+/${total} files: `));
    worker.kill("SIGCONT");
    expect(await ended).toMatchObject({ code: 0 });
    for await (const line of { [Symbol.asyncIterator]: () => lines }) told.push(line);
    expect(told.at(-1)).toBe(
      `finished: ${total}/${total} files: ${total} computed, 0 served from the store, 0 failed`,
    );
    const done = told.map((line) => Number(/ (\d+)\//.exec(line)?.[1]));
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    if (watch.exitCode === null) await once(watch, "exit");
    expect(watch.exitCode).toBe(0);
  },
);

test.for(LANGUAGES)("the worker in %s answers wrong arguments with its usage", async (language) => {
  const results = await Promise.all(WRONG_ARGUMENTS.map((args) => resultOf(start(language, args))));
  for (const [index, result] of results.entries()) {
    expect(result, WRONG_ARGUMENTS[index]?.join(" ")).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toMatch(/^usage: .* FOLDER.*--watch/ms);
  }
});

test.for(LANGUAGES)("the worker in %s says what is wrong in a sentence", async (language) => {
  const { address, folder } = await openStore();
  const missing = await resultOf(start(language, ["/no/such/folder", "--address", address]));
  expect(missing).toMatchObject({ code: 1, stdout: "" });
  expect(missing.stderr).toMatch(/\/no\/such\/folder/);
  const refused = await resultOf(
    start(language, [folder, "--address", address, "--store", "a\nb".repeat(200)]),
  );
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toMatch(/store_name|store name/);
  for (const { stderr } of [missing, refused]) expect(stderr.trim().split("\n")).toHaveLength(1);
});
