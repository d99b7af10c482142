/** The command line of the worker: npm run example -- FOLDER */
import { parseArgs } from "node:util";
import { SingleBar } from "cli-progress";
import { ExecutionStore, isStoreError } from "execution-store";
import { type Progress, runWorker } from "./worker.js";

const USAGE = `usage: npm run example -- FOLDER [--address HOST:PORT] [--store NAME] [--clear]

Computes statistics of every file in FOLDER and keeps them in the execution store.
  --address   the server (default: EXECUTION_STORE_ADDRESS, or 127.0.0.1:50051)
  --store     the store to keep them in (default: file-statistics)
  --clear     forget what the store holds, and begin anew`;

function summary(progress: Progress, seconds: number): string {
  const { total, served, computed, failed, savedMs, savedBytes } = progress;
  const lines = [
    `${total} files in ${seconds.toFixed(1)} s: ${computed} computed, ${served} served from the store, ${failed} failed`,
  ];
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
      },
    });
    const [folder] = positionals;
    return folder === undefined || positionals.length !== 1 ? undefined : { ...values, folder };
  } catch (error) {
    // An unknown flag, or one without its value.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

async function main(): Promise<number> {
  const values = readArguments();
  if (values === undefined) {
    console.error(USAGE);
    return 2;
  }
  const { folder } = values;
  const store = ExecutionStore.create(values.store, { address: values.address });
  const bar = new SingleBar({
    format: "{bar} {value}/{total} files | {computed} computed | {served} from the store | {eta} s left",
    etaBuffer: 100,
  });
  try {
    if (values.clear) await store.clear();
    const started = performance.now();
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
  } catch (error) {
    bar.stop();
    if (!isStoreError(error) && !(error instanceof Error && "syscall" in error)) throw error;
    console.error(error.message);
    return 1;
  } finally {
    await store.close();
  }
}

process.exitCode = await main();
