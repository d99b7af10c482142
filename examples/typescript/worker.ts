/**
 * An operator worker: computes statistics of every file in a folder and keeps them in the execution store.
 *
 *   results       under the content's hash: a file that was ever computed, under any name, never is again
 *   intermediate  the content hash of each version of a file, in the cache, for a day
 *   progress      under `progress`: anyone may look how far the work is
 *
 * Run it twice: the second run is served from the store. Kill it half-way: the next run continues. The workers in Python
 * and Go beside it keep the same under the same keys: what one has computed, all are served.
 */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ExecutionStore } from "execution-store";
import { type Analysis, analyze, contentHash } from "./analyze.js";
import { type FoundFile, walk } from "./walk.js";

const CACHE_TTL_SECONDS = 24 * 60 * 60;
/** Files that are worked on at the same time. */
const CONCURRENCY = 8;
/** Between two writes of the progress, in ms. */
const PROGRESS_INTERVAL_MS = 200;

/** How far a run is; stored under `progress`. */
export interface Progress {
  readonly folder: string;
  readonly total: number;
  /** Finished files: computed, served from the store, or failed. */
  readonly done: number;
  readonly computed: number;
  readonly served: number;
  readonly failed: number;
  /** What computing the served results had taken, in ms. */
  readonly savedMs: number;
  /** Bytes of files that did not have to be read. */
  readonly savedBytes: number;
  readonly state: "running" | "finished";
}

/** How to run the worker. */
export interface WorkerOptions {
  readonly folder: string;
  /** Where results, intermediate results and progress are kept. */
  readonly store: ExecutionStore;
  /** Hears of every finished file. */
  readonly onProgress?: (progress: Progress) => void;
  /** Hears of files that cannot be read; the work goes on. */
  readonly onError?: (path: string, error: unknown) => void;
}

/** The cache key of one version of a file. */
function versionKey(file: FoundFile): string {
  const version = createHash("sha256");
  version.update(`${resolve(file.path)}\0${file.bytes}\0${file.modifiedNs}`);
  return `hash-of:${version.digest("hex")}`;
}

function resultKey(hash: string): string {
  return `analysis:${hash}`;
}

/** Works through a folder and answers the final progress. */
export async function runWorker({ folder, store, onProgress, onError }: WorkerOptions): Promise<Progress> {
  const files = await walk(folder);
  let progress: Progress = {
    folder,
    total: files.length,
    done: 0,
    computed: 0,
    served: 0,
    failed: 0,
    savedMs: 0,
    savedBytes: 0,
    state: "running",
  };
  const advance = (step: Partial<Progress>): void => {
    progress = { ...progress, ...step, done: progress.done + 1 };
    onProgress?.(progress);
  };

  // Two requests tell what is known, whatever the number of files.
  const hashes = await store.getMany<string>(files.map(versionKey));
  const results = await store.getMany<Analysis>([...new Set([...hashes.values()].map(resultKey))]);

  async function work(file: FoundFile): Promise<void> {
    const known = hashes.get(versionKey(file));
    const hash = known ?? (await contentHash(file.path));
    if (known === undefined) await store.setCache(versionKey(file), hash, { ttl: CACHE_TTL_SECONDS });
    const stored = results.get(resultKey(hash)) ?? (await store.get<Analysis>(resultKey(hash)));
    if (stored !== undefined) {
      const savedBytes = progress.savedBytes + (known === undefined ? 0 : file.bytes);
      // To a microsecond, as each of them is: sums of binary fractions have digits that mean nothing.
      const savedMs = Math.round((progress.savedMs + stored.computeMs) * 1000) / 1000;
      advance({ served: progress.served + 1, savedMs, savedBytes });
      return;
    }
    await store.set(resultKey(hash), await analyze(file.path));
    advance({ computed: progress.computed + 1 });
  }

  const finished = new AbortController();
  const reporting = report(store, () => progress, finished.signal);
  reporting.catch(() => undefined); // told below, where it is awaited; until then it would end the process
  try {
    await inParallel(files, async (file) => {
      try {
        await work(file);
      } catch (error) {
        if (!isFileError(error)) throw error;
        onError?.(file.path, error);
        advance({ failed: progress.failed + 1 });
      }
    });
  } finally {
    finished.abort();
    await reporting;
  }
  progress = { ...progress, state: "finished" };
  await store.set("progress", progress);
  return progress;
}

/** A file that vanished or may not be read is the file's fault; anything else ends the work. */
function isFileError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && "path" in error;
}

/** Keeps the progress in the store until the work is finished. */
async function report(store: ExecutionStore, progress: () => Progress, finished: AbortSignal): Promise<void> {
  while (!finished.aborted) {
    await store.set("progress", progress());
    await delay(PROGRESS_INTERVAL_MS, undefined, { signal: finished }).catch(() => undefined);
  }
}

async function inParallel<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
