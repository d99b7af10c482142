/** The command line of the worker: npm run example -- FOLDER */
import { parseArgs } from "node:util";
import { SingleBar } from "cli-progress";
import { ExecutionStore, isStoreError } from "execution-store";
import { followProgress } from "./follow.js";
import { type Progress, runWorker } from "./worker.js";

const USAGE = `usage: npm run example -- FOLDER [--address HOST:PORT] [--store NAME] [--clear]
       npm run example -- --watch [--address HOST:PORT] [--store NAME]

Computes statistics of every file in FOLDER and keeps them in the execution store.
  --address   the server (default: EXECUTION_STORE_ADDRESS, or 127.0.0.1:50051)
  --store     the store to keep them in (default: file-statistics)
  --clear     forget what the store holds, and begin anew
  --watch     follow the progress of a worker in another process, until it is finished`;

function summary(progress: Progress, seconds: number): string {
  const { total, served, savedMs, savedBytes } = progress;
  const lines = [`${total} files in ${seconds.toFixed(1)} s: ${counts(progress)}`];
  if (served > 0) {
    const megabytes = (savedBytes / 1e6).toFixed(1);
    lines.push(
      `The store saved ${(savedMs / 1000).toFixed(1)} s of computing and the reading of ${megabytes} MB.`,
    );
  }
  return lines.join("\n");
}

/** What the command line asks for; undefined if it is not what USAGE says. */
function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        address: { type: "string" },
        store: { type: "string", default: "file-statistics" },
        clear: { type: "boolean", default: false },
        watch: { type: "boolean", default: false },
      },
    });
    if (positionals.length !== (values.watch ? 0 : 1) || (values.watch && values.clear)) return undefined;
    return { ...values, folder: positionals[0] };
  } catch (error) {
    // An unknown flag, or one without its value.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function counts({ computed, served, failed }: Progress): string {
  return `${computed} computed, ${served} served from the store, ${failed} failed`;
}

async function work(store: ExecutionStore, folder: string): Promise<number> {
  const bar = new SingleBar({
    format: "{bar} {value}/{total} files | {computed} computed | {served} from the store | {eta} s left",
    etaBuffer: 100,
  });
  const started = performance.now();
  try {
    const progress = await runWorker({
      folder,
      store,
      onProgress(now) {
        if (!bar.isActive) bar.start(now.total, 0);
        bar.update(now.done, { computed: now.computed, served: now.served });
      },
      onError: (path, error) => console.error(`\ncannot read ${path}: ${(error as Error).message}`),
    });
    bar.stop();
    console.log(summary(progress, (performance.now() - started) / 1000));
    return progress.failed === 0 ? 0 : 1;
  } finally {
    bar.stop();
  }
}

async function follow(store: ExecutionStore): Promise<number> {
  await followProgress({
    store,
    onProgress: (now) => console.log(`${now.state}: ${now.done}/${now.total} files: ${counts(now)}`),
    onReady: () => console.error(`watching the progress in ${JSON.stringify(store.storeName)}`),
  });
  return 0;
}

async function main(): Promise<number> {
  const values = readArguments();
  if (values === undefined) {
    console.error(USAGE);
    return 2;
  }
  const store = ExecutionStore.create(values.store, { address: values.address });
  try {
    if (values.clear) await store.clear();
    return await (values.folder === undefined ? follow(store) : work(store, values.folder));
  } catch (error) {
    if (!isStoreError(error) && !(error instanceof Error && "syscall" in error)) throw error;
    console.error(error.message);
    return 1;
  } finally {
    await store.close();
  }
}

process.exitCode = await main();
