import type { ExecutionStore } from "execution-store";
import type { Progress } from "./worker.js";

/** How to follow a run. */
export interface FollowOptions {
  /** The worker's store. */
  readonly store: ExecutionStore;
  /** Hears of where the work is, and of each change. */
  readonly onProgress: (progress: Progress) => void;
  /** Hears when no change can be missed any more. */
  readonly onReady?: () => void;
}

/** Follows the run that is under way, or the next one, of a worker in any language and process, until it is finished. */
export async function followProgress({ store, onProgress, onReady }: FollowOptions): Promise<void> {
  for await (const event of store.watch<Progress>({ key: "progress", snapshot: true })) {
    if (event.type === "snapshotComplete") onReady?.();
    if (!("document" in event)) continue;
    onProgress(event.document.value);
    // What was finished before is the run before: the next one is waited for.
    if (event.type !== "existing" && event.document.value.state === "finished") return;
  }
}
