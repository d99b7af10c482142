import { onTestFinished } from "vitest";
import { ExecutionStoreService } from "../../src/client/service.js";
import type { Watch } from "../../src/client/watch.js";
import type { WatchEvent } from "../../src/client/watch-events.js";
import type { WatchOptions } from "../../src/client/watch-options.js";
import { StoreError } from "../../src/store/errors.js";
import { type ScriptedWatches, startScriptedWatches } from "../support/scripted-watch.js";

/** Connections that follow each other at once. */
export const SOON = { initialBackoffMs: 1, maxBackoffMs: 5 };

/** A server that says what the test says, and its client. */
export interface Peers {
  readonly server: ScriptedWatches;
  readonly service: ExecutionStoreService;
}

/** Starts both. */
export async function openPeers(): Promise<Peers> {
  const server = await startScriptedWatches();
  const service = new ExecutionStoreService({ address: server.address });
  onTestFinished(async () => {
    await service.close();
    server.close();
  });
  return { server, service };
}

/** A watch that connects again soon. */
export function watch({ service }: Peers, options: WatchOptions<"plain"> = {}): Watch {
  return service.watchKeys({ retry: SOON, ...options });
}

/** What a server that stops says. */
export function unavailable(retryAfterMs = 1): StoreError {
  return new StoreError("SHUTTING_DOWN", "the server is shutting down", { retryAfterMs });
}

/** An event in short: its type, its key, and its token. */
export function brief(event: WatchEvent): string {
  const key = "key" in event ? ` ${event.key}` : "";
  const token = event.resumeToken === undefined ? "" : ` @${event.resumeToken}`;
  return `${event.type}${key}${token}`;
}

/** Reads so many events, in short. */
export async function take(reader: Watch, count: number): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    const { done, value } = await reader.next();
    if (done === true) throw new Error(`the watch ended after ${taken.join(", ")}`);
    taken.push(brief(value));
  }
  return taken;
}
