import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { ExecutionStore } from "execution-store";
import { expect, onTestFinished, test } from "vitest";
import { type Analysis, analyze, contentHash } from "../../examples/typescript/analyze.js";
import { type Progress, runWorker } from "../../examples/typescript/worker.js";
import { tempDir } from "../support/temp-dir.js";
import { startTestServer } from "../support/test-server.js";

const ROOT = join(import.meta.dirname, "../..");
/** One pixel wide, two high. */
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAACCAIAAAAW4yFwAAAAEElEQVR4nGNgYGD4//8/AAYBAv4CCoYsAAAAAElFTkSuQmCC",
  "base64",
);

async function openStore(): Promise<{ address: string; store: ExecutionStore }> {
  const server = await startTestServer();
  onTestFinished(() => server.close());
  const store = ExecutionStore.create("file-statistics", { address: server.address });
  onTestFinished(() => store.close());
  return { address: server.address, store };
}

/** A folder of real files: this project's own sources, an image, and the same text under two names. */
function realFolder(): string {
  const folder = tempDir();
  cpSync(join(ROOT, "src"), join(folder, "src"), { recursive: true });
  writeFileSync(join(folder, "pixel.png"), PNG);
  writeFileSync(
    join(folder, "noise.bin"),
    Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256)),
  );
  mkdirSync(join(folder, "copies"));
  for (const name of ["a.txt", "b.txt"]) writeFileSync(join(folder, "copies", name), "one two two\nthree\n");
  return folder;
}

test("statistics are right for text, images and anything else", async () => {
  const folder = realFolder();
  expect(await analyze(join(folder, "copies/a.txt"))).toMatchObject({
    kind: "text",
    bytes: 18,
    text: { lines: 2, words: 4, frequentWords: ["two", "one", "three"] },
  });
  expect(await analyze(join(folder, "pixel.png"))).toMatchObject({
    kind: "image",
    image: { format: "png", width: 1, height: 2 },
  });
  expect(await analyze(join(folder, "noise.bin"))).toMatchObject({ kind: "binary", bytes: 512, entropy: 8 });
  expect(await contentHash(join(folder, "copies/a.txt"))).toBe(
    "7386e74fe6d08ee7ba4f1c7132ffce6855685e1ef5db03d68ea733c0f36c723d",
  );
});

test("a second run is served from the store and says what it saved", async () => {
  const { store } = await openStore();
  const folder = realFolder();
  const first = await runWorker({ folder, store });
  expect(first).toMatchObject({ state: "finished", failed: 0, done: first.total });
  expect(first.total).toBeGreaterThan(50);
  expect(first.computed + first.served).toBe(first.total);
  const second = await runWorker({ folder, store });
  expect(second).toMatchObject({ computed: 0, served: first.total, total: first.total });
  expect(second.savedMs).toBeGreaterThan(0);
  expect(second.savedMs).toBe(Number(second.savedMs.toFixed(3)));
  expect(second.savedBytes).toBeGreaterThan(100_000);
  expect(await store.get<Progress>("progress")).toEqual(second);
  const hash = await contentHash(join(folder, "pixel.png"));
  expect(await store.get<Analysis>(`analysis:${hash}`)).toMatchObject({ kind: "image", image: { width: 1 } });
});

test("results outlive the cache of intermediate results", async () => {
  const { store } = await openStore();
  const folder = realFolder();
  await runWorker({ folder, store });
  const cached = (await store.listKeys({ prefix: "hash-of:" }).toArray()).length;
  expect(cached).toBeGreaterThan(50);
  expect(await store.clearCache()).toBe(cached);
  expect(await runWorker({ folder, store })).toMatchObject({ computed: 0, savedBytes: 0 });
});

test("a changed file is computed anew", async () => {
  const { store } = await openStore();
  const folder = realFolder();
  await runWorker({ folder, store });
  writeFileSync(join(folder, "copies/a.txt"), "changed");
  expect(await runWorker({ folder, store })).toMatchObject({ computed: 1 });
});

test("a file that vanishes meanwhile is reported, and the work goes on", async () => {
  const { store } = await openStore();
  const folder = realFolder();
  const last = join(folder, "src/zz-last.txt");
  writeFileSync(last, "soon gone");
  const errors: string[] = [];
  const result = await runWorker({
    folder,
    store,
    onProgress: () => rmSync(last, { force: true }),
    onError: (path) => errors.push(path),
  });
  expect(errors).toEqual([last]);
  expect(result).toMatchObject({ failed: 1, done: result.total });
});

function startWorker(address: string, folder: string) {
  const main = join(ROOT, "examples/typescript/main.ts");
  return spawn(process.execPath, ["--import", "tsx", main, folder, "--address", address], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
}

test.each([
  ["an unknown flag", ["--colour"]],
  ["a flag without its value", ["folder", "--store"]],
  ["two folders", ["one", "two"]],
  ["no folder", []],
])("%s is answered with the usage and exit code 2", async (_, args) => {
  const main = join(ROOT, "examples/typescript/main.ts");
  const worker = spawn(process.execPath, ["--import", "tsx", main, ...args], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [complaint, exit] = await Promise.all([text(worker.stderr), once(worker, "exit")]);
  expect(exit).toEqual([2, null]);
  expect(complaint).toMatch(/^usage: npm run example -- FOLDER/);
});

test("killed half-way, the next run continues", async () => {
  const { address, store } = await openStore();
  const folder = tempDir();
  for (let index = 0; index < 600; index += 1) {
    writeFileSync(join(folder, `${index}.txt`), `${index} `.repeat(20_000));
  }
  const worker = startWorker(address, folder);
  const exited = once(worker, "exit");
  await expect
    .poll(() => store.service.countKeys("file-statistics", { prefix: "analysis:" }), {
      timeout: 20_000,
      interval: 5,
    })
    .toBeGreaterThan(20);
  worker.kill("SIGKILL");
  await exited;
  const finished = await store.service.countKeys("file-statistics", { prefix: "analysis:" });
  expect(finished).toBeLessThan(600);
  const next = startWorker(address, folder);
  const output: Buffer[] = [];
  next.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  expect(await once(next, "exit")).toEqual([0, null]);
  const told = /(\d+) computed, (\d+) served from the store, 0 failed/.exec(Buffer.concat(output).toString());
  const [computed, served] = [Number(told?.[1]), Number(told?.[2])];
  // What was on its way to the server at the end may have arrived after it.
  expect(served).toBeGreaterThanOrEqual(finished);
  expect(computed).toBe(600 - served);
}, 60_000);
