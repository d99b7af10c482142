import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { ExecutionStore } from "execution-store";
import { expect, onTestFinished, test } from "vitest";
import { type Progress, runWorker } from "../../examples/typescript/worker.js";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { buildBeforeTests, spawnCli } from "../cli/cli-process.js";
import { tempDir } from "../support/temp-dir.js";
import { startTestServer } from "../support/test-server.js";

buildBeforeTests();

test("the worker's progress is followed live from another process", async () => {
  const path = tempDir();
  const engine = await openLmdbEngine({ path: join(path, "store"), collections: [DEFAULT_COLLECTION] });
  const server = await startTestServer({ engine });
  onTestFinished(() => server.close());
  const store = ExecutionStore.create("file-statistics", { address: server.address });
  onTestFinished(() => store.close());
  const folder = join(path, "files");
  mkdirSync(folder);
  for (let index = 0; index < 200; index += 1)
    writeFileSync(join(folder, `${index}.txt`), `${index} `.repeat(5000));

  const args = ["watch", "file-statistics", "--key", "progress", "--json", "--address", server.address];
  const watch = spawnCli(args);
  watch.stdin.end();
  const lines = createInterface({ input: watch.stdout })[Symbol.asyncIterator]();
  expect(JSON.parse((await lines.next()).value ?? "")).toMatchObject({ type: "started" });

  const finished = runWorker({ folder, store });
  const told: Progress[] = [];
  while (told.at(-1)?.state !== "finished") {
    const event = JSON.parse((await lines.next()).value ?? "") as { type: string; value: Progress };
    if (event.type !== "progress") told.push(event.value);
  }
  const done = told.map((progress) => progress.done);
  expect(done).toEqual(done.toSorted((a, b) => a - b));
  expect(told.at(-1)).toEqual(await finished);
  expect(told.length).toBeGreaterThan(1);
  watch.kill("SIGINT");
  expect(await once(watch, "exit")).toEqual([130, null]);
}, 60_000);
