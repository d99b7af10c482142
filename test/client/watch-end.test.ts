import { describe, expect, test } from "vitest";
import type { WatchOptions } from "../../src/client/watch-options.js";
import * as say from "../support/watch-messages.js";
import { brief, openPeers, take, unavailable, watch } from "./watch-peers.js";

const DONE = { done: true, value: undefined };

async function begin(options: WatchOptions<"plain"> = {}) {
  const peers = await openPeers();
  const reader = watch(peers, options);
  const first = reader.next();
  const call = await peers.server.call(0);
  await call.send(say.started("t0"));
  await first;
  return { ...peers, reader, call };
}

describe("an end by the consumer", () => {
  test("by break cancels the call and drops what waits", async () => {
    const { reader, call } = await begin();
    await call.send(say.events("t1", say.created("a", 1), say.created("b", 1)));
    for await (const event of reader) {
      expect(brief(event)).toBe("created a");
      break;
    }
    await call.cancelled;
    expect(await reader.next()).toEqual(DONE);
    expect(reader.resumeToken).toBe("t0");
  });

  test("by close ends every read under way", async () => {
    const { reader, call } = await begin();
    const reads = [reader.next(), reader.next()];
    reader.close();
    reader.close();
    expect(await Promise.all(reads)).toEqual([DONE, DONE]);
    await call.cancelled;
  });

  test("by close before the first read sends nothing", async () => {
    const peers = await openPeers();
    const reader = watch(peers);
    reader.close();
    expect(await reader.next()).toEqual(DONE);
    expect(peers.server.calls).toEqual([]);
  });

  test("by the service's close is no error, also between two connections", async () => {
    const { reader, call, service, server } = await begin({
      retry: { initialBackoffMs: 60_000, maxBackoffMs: 60_000 },
    });
    const other = service.watchKeys();
    const reads = [reader.next(), other.next()];
    await server.call(1);
    call.end(unavailable());
    await service.close();
    expect(await Promise.all(reads)).toEqual([DONE, DONE]);
    await expect(service.watchKeys().next()).rejects.toMatchObject({ reason: "CLIENT_CLOSED" });
  });

  test("by a signal rejects once, with CANCELLED, and cancels the call", async () => {
    const abort = new AbortController();
    const { reader, call } = await begin({ signal: abort.signal });
    await call.send(say.events("t1", say.created("a", 1)));
    const reason = new Error("no more");
    const read = take(reader, 2);
    abort.abort(reason);
    await expect(read).rejects.toMatchObject({ reason: "CANCELLED", cause: reason });
    expect(await reader.next()).toEqual(DONE);
    await call.cancelled;
  });

  test("by a signal that has aborted before sends nothing", async () => {
    const peers = await openPeers();
    const reader = watch(peers, { signal: AbortSignal.abort() });
    await expect(reader.next()).rejects.toMatchObject({ reason: "CANCELLED" });
    expect(peers.server.calls).toEqual([]);
  });

  test("is the end, also for a signal that aborts later", async () => {
    const abort = new AbortController();
    const { reader } = await begin({ signal: abort.signal });
    await reader.return();
    abort.abort();
    expect(await reader.next()).toEqual(DONE);
  });
});
