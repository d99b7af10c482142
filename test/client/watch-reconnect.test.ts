import { describe, expect, onTestFinished, test } from "vitest";
import { ExecutionStoreService } from "../../src/client/service.js";
import type { WatchOptions } from "../../src/client/watch-options.js";
import { historyLost, type StoreError } from "../../src/store/errors.js";
import { startScriptedWatches } from "../support/scripted-watch.js";
import { until } from "../support/until.js";
import * as say from "../support/watch-messages.js";
import { openPeers, type Peers, SOON, take, unavailable, watch } from "./watch-peers.js";

describe("a silent connection", () => {
  test("is given up after three intervals for one that goes on where it was", async () => {
    const peers = await openPeers();
    const errors: StoreError[] = [];
    const reader = watch(peers, { onInterruption: (error) => errors.push(error) });
    const told = take(reader, 3);
    const silent = await peers.server.call(0);
    await silent.send(say.started("t1", 500));
    const began = performance.now();
    const after = await peers.server.call(1);
    expect(performance.now() - began).toBeGreaterThan(1400);
    await silent.cancelled;
    expect(after.request.resumeToken).toBe("t1");
    expect(errors).toMatchObject([{ kind: "UNAVAILABLE", message: expect.stringContaining("1500 ms") }]);
    await after.send(say.started("t1"));
    await after.send(say.progress("t2"));
    expect(await told).toEqual(["started @t1", "started @t1", "progress @t2"]);
  });

  test("is not given up within a second, however short the interval", async () => {
    const peers = await openPeers();
    const reader = watch(peers);
    const told = take(reader, 1);
    await (await peers.server.call(0)).send(say.started("t0", 10));
    await told;
    const began = performance.now();
    void reader.next();
    await peers.server.call(1);
    expect(performance.now() - began).toBeGreaterThan(900);
  });

  test("that never starts is given up after the time of a call", async () => {
    const server = await startScriptedWatches();
    onTestFinished(() => server.close());
    await using service = new ExecutionStoreService({ address: server.address, timeoutMs: 50 });
    const reader = service.watchKeys({ retry: SOON });
    const told = take(reader, 1);
    await (await server.call(1)).send(say.started("t1"));
    expect(await told).toEqual(["started @t1"]);
  });

  test("is none where the consumer does not take what was told", async () => {
    const peers = await openPeers();
    const slow = watch(peers, { bufferEvents: 1 });
    const first = slow.next();
    const held = await peers.server.call(0);
    await held.send(say.started("t0", 40));
    await first;
    await held.send(say.events("t1", say.created("a", 1)));
    await held.send(say.events("t2", say.created("b", 1)));
    await silence(peers, 1);
    expect(peers.server.calls.length).toBe(3);
    expect(await take(slow, 2)).toEqual(["created a @t1", "created b @t2"]);
  });
});

/** Resolves when a watch of its own, the call of this index, was silent for as long as a connection may be. */
async function silence(peers: Peers, index: number): Promise<void> {
  void watch(peers).next();
  await (await peers.server.call(index)).send(say.started("t0", 40));
  await peers.server.call(index + 1);
}

describe("a snapshot that has to wait", () => {
  test("goes on as long as messages without events come, and begins anew where it is silent", async () => {
    const peers = await openPeers();
    const reader = watch(peers, { snapshot: true });
    const told = take(reader, 4);
    const call = await peers.server.call(0);
    await call.send(say.started("", 40));
    const beat = setInterval(() => void call.send(say.snapshot()), 100);
    await silence(peers, 1);
    clearInterval(beat);
    expect(peers.server.calls.length).toBe(3);
    const after = await peers.server.call(3);
    expect(after.request).toMatchObject({ snapshot: true, resumeToken: "" });
    await after.send(say.started("", 40));
    await after.send(say.snapshot());
    await after.send(say.snapshot(say.existing("a", 1)));
    await after.send(say.snapshot());
    await after.send(say.complete("t1"));
    // Nothing was told of the first: it needs no reset.
    expect(await told).toEqual(["started", "started", "existing a", "snapshotComplete @t1"]);
  });

  test("takes no room in the buffer", async () => {
    const peers = await openPeers();
    const reader = watch(peers, { snapshot: true, bufferBytes: 1 });
    const told = take(reader, 3);
    const call = await peers.server.call(0);
    await call.send(say.started());
    await call.send(say.snapshot(say.existing("a", 1)));
    await call.send(say.snapshot());
    await call.send(say.complete("t1"));
    expect(await told).toEqual(["started", "existing a", "snapshotComplete @t1"]);
  });
});

describe("progress with the token of before", () => {
  test("is a sign of life, and changes nothing", async () => {
    const peers = await openPeers();
    const reader = watch(peers, { resumeToken: "t0" });
    const told = take(reader, 4);
    const call = await peers.server.call(0);
    await call.send(say.started("t0"));
    await call.send(say.progress("t0"));
    await call.send(say.events("t1", say.created("a", 1)));
    await call.send(say.progress("t1"));
    expect(await told).toEqual(["started @t0", "progress @t0", "created a @t1", "progress @t1"]);
    const more = take(reader, 1);
    call.end(unavailable());
    const after = await peers.server.call(1);
    expect(after.request.resumeToken).toBe("t1");
    await after.send(say.started("t1"));
    expect(await more).toEqual(["started @t1"]);
  });

  test("is nothing new on a connection that ends soon", async () => {
    const peers = await openPeers();
    const delays: number[] = [];
    const retry = { initialBackoffMs: 8, maxBackoffMs: 60_000 };
    const reader = watch(peers, { retry, onInterruption: (_, ms) => delays.push(ms) });
    for (let index = 0; index < 4; index += 1) {
      const told = take(reader, 2);
      const call = await peers.server.call(index);
      await call.send(say.started("t0"));
      await call.send(say.progress("t0"));
      await told;
      call.end(unavailable(0));
      await peers.server.call(index + 1);
    }
    [8, 16, 32, 64].forEach((most, index) => expect(delays[index]).toBeGreaterThanOrEqual(most / 2));
  });

  test("counts on a connection that lasted: idle ones may break off as often as they like", async () => {
    const peers = await openPeers();
    const reader = watch(peers, { retry: { initialBackoffMs: 1, maxBackoffMs: 5, maxAttempts: 2 } });
    for (let index = 0; index < 3; index += 1) {
      const told = take(reader, 2);
      const call = await peers.server.call(index);
      await call.send(say.started("t0"));
      const began = performance.now();
      await until(() => performance.now() - began > 50, "it has lasted");
      await call.send(say.progress("t0"));
      expect(await told).toEqual(["started @t0", "progress @t0"]);
      call.end(unavailable(0));
    }
    await (await peers.server.call(3)).send(say.started("t0"));
    expect(await take(reader, 1)).toEqual(["started @t0"]);
  });
});

/** Sends messages of one event to two watches, of which one reads at once; how many the other one's server sent. */
async function flood(options: WatchOptions<"plain">, count: number, bytes: number) {
  const peers = await openPeers();
  const value = "x".repeat(bytes);
  const [slow, quick] = [watch(peers, options), watch(peers)];
  const sent = [0, 0];
  const sending: Promise<void>[] = [];
  for (const [index, reader] of [slow, quick].entries()) {
    const first = reader.next();
    const call = await peers.server.call(index);
    await call.send(say.started("t"));
    await first;
    const send = async (): Promise<void> => {
      for (let number = 0; number < count; number += 1) {
        await call.send(say.events(`t${number}`, say.created(`k${number}`, value)));
        sent[index] = number + 1;
      }
    };
    sending.push(send());
  }
  const expected = Array.from({ length: count }, (_, number) => `created k${number} @t${number}`);
  // What one connection has brought, the other would have brought, too.
  expect(await take(quick, count)).toEqual(expected);
  const held = sent[0] ?? 0;
  expect(await take(slow, count)).toEqual(expected);
  await Promise.all(sending);
  return held;
}

describe("a consumer that does not read", () => {
  test("holds the server back by its bytes, and loses nothing", async () => {
    const bytes = 64 * 1024;
    const held = await flood({ bufferBytes: 4 * bytes }, 400, bytes);
    // Besides the buffer there are those on their way: in the windows of HTTP/2 and the buffers of the sockets.
    expect(held).toBeGreaterThanOrEqual(4);
    expect(held).toBeLessThan(100);
  });

  test("holds the server back by its events, and loses nothing", async () => {
    const held = await flood({ bufferEvents: 10 }, 4000, 1000);
    expect(held).toBeGreaterThanOrEqual(10);
    expect(held).toBeLessThan(2000);
  });
});

describe("connecting again", () => {
  test("takes longer each time, and as short as at first after something new", async () => {
    const peers = await openPeers();
    const delays: number[] = [];
    const retry = { initialBackoffMs: 8, maxBackoffMs: 32 };
    const reader = watch(peers, { retry, onInterruption: (_, ms) => delays.push(ms) });
    const told = take(reader, 3);
    for (let index = 0; index < 5; index += 1) {
      const call = await peers.server.call(index);
      // That it starts is nothing new.
      if (index === 3) await call.send(say.started("t0"));
      call.end(unavailable(0));
    }
    const fruitful = await peers.server.call(5);
    await fruitful.send(say.started("t0"));
    await fruitful.send(say.progress("t1"));
    await until(() => reader.resumeToken === "t1", "the token has come");
    fruitful.end(unavailable(0));
    const last = await peers.server.call(6);
    last.end(unavailable(60));
    await (await peers.server.call(7)).send(say.started("t1"));
    await told;
    const bounds = [8, 16, 32, 32, 32, 8].map((most) => [most / 2, most] as const);
    bounds.forEach(([least, most], index) => {
      expect(delays[index]).toBeGreaterThanOrEqual(least);
      expect(delays[index]).toBeLessThanOrEqual(most);
    });
    // What the server asks for is the least.
    expect(delays[6]).toBeGreaterThanOrEqual(60);
    expect(new Set(delays).size).toBeGreaterThan(4);
  });

  test("is given up after the most attempts, with the token to go on with", async () => {
    const peers = await openPeers();
    const reader = watch(peers, { retry: { ...SOON, maxAttempts: 3 } });
    const told = take(reader, 2);
    const first = await peers.server.call(0);
    await first.send(say.started("t0"));
    await first.send(say.progress("t1"));
    await told;
    const end = reader.next();
    first.end(unavailable());
    (await peers.server.call(1)).end(unavailable());
    (await peers.server.call(2)).end(unavailable());
    await expect(end).rejects.toMatchObject({ reason: "SHUTTING_DOWN", resumeToken: "t1" });
    expect(peers.server.calls.length).toBe(3);
  });

  test("does not happen without retries", async () => {
    const peers = await openPeers();
    const reader = watch(peers, { retry: false });
    const told = take(reader, 2);
    const call = await peers.server.call(0);
    await call.send(say.started("t0"));
    await call.send(say.progress("t1"));
    await told;
    const end = reader.next();
    call.end(unavailable());
    await expect(end).rejects.toMatchObject({ reason: "SHUTTING_DOWN", resumeToken: "t1" });
    expect(peers.server.calls.length).toBe(1);
  });

  test("waits for a server that is not there yet, unless told otherwise", async () => {
    const gone = await startScriptedWatches();
    gone.close();
    await using service = new ExecutionStoreService({ address: gone.address });
    const impatient = service.watchKeys({ retry: { waitForServerMs: 0 } });
    await expect(impatient.next()).rejects.toMatchObject({ reason: "SERVER_UNREACHABLE" });
    const patient = service.watchKeys({ retry: SOON });
    const told = take(patient, 1);
    const server = await startScriptedWatches(gone.address);
    onTestFinished(() => server.close());
    await (await server.call(0)).send(say.started("t0"));
    expect(await told).toEqual(["started @t0"]);
  });

  test("takes longer each time, too, where history is lost behind every snapshot", async () => {
    const peers = await openPeers();
    const delays: number[] = [];
    const reader = watch(peers, {
      snapshot: true,
      onHistoryLost: "snapshot",
      retry: { initialBackoffMs: 8, maxBackoffMs: 64 },
      onInterruption: (_, ms) => delays.push(ms),
    });
    const told = take(reader, 14);
    for (let index = 0; index < 5; index += 1) {
      const call = await peers.server.call(index);
      await call.send(say.started());
      await call.send(say.complete(`t${index}`));
      await until(() => reader.resumeToken === `t${index}`, "the snapshot is told");
      if (index < 4) call.end(historyLost("it is over"));
    }
    expect(await told).toContain("reset");
    [8, 16, 32, 64].forEach((most, index) => expect(delays[index]).toBeGreaterThanOrEqual(most / 2));
  });

  test("asks for headers anew", async () => {
    const server = await startScriptedWatches();
    onTestFinished(() => server.close());
    let asked = 0;
    const headers = (): Promise<Record<string, string>> => {
      asked += 1;
      return Promise.resolve({ authorization: `Bearer ${asked}` });
    };
    await using service = new ExecutionStoreService({ address: server.address, headers });
    const first = service.watchKeys({ retry: SOON }).next();
    const before = await server.call(0);
    expect(before.metadata.get("authorization")).toEqual(["Bearer 1"]);
    before.end(unavailable());
    const after = await server.call(1);
    expect(after.metadata.get("authorization")).toEqual(["Bearer 2"]);
    await after.send(say.started("t0"));
    await first;
  });

  test("ends with what onInterruption throws", async () => {
    const peers = await openPeers();
    const enough = new Error("enough");
    const reader = watch(peers, {
      onInterruption: () => {
        throw enough;
      },
    });
    const first = reader.next();
    (await peers.server.call(0)).end(unavailable());
    await expect(first).rejects.toBe(enough);
  });
});
