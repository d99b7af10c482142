import type { ExecutionStoreService } from "../../src/client/service.js";
import { isStoreError } from "../../src/store/errors.js";
import type { Ledger } from "./ledger.js";

/** A counter that several workers raise by compare-and-set. */
export interface CounterAccount {
  /** Its value at the last look. */
  base: number;
  /** Acknowledged raises since. */
  acknowledged: number;
  /** Raises since that have no answer. */
  unanswered: number;
}

/** What the workers share. */
export interface Load {
  readonly service: ExecutionStoreService;
  readonly ledger: Ledger;
  readonly counter: CounterAccount;
  /** Makes values unique, over all rounds. */
  readonly next: () => number;
  /** Whether workers are to go on. */
  readonly running: () => boolean;
}

type Worker = (load: Load) => Promise<void>;

/** The store of the counter. */
export const COUNTER_STORE = "counter";

/** A worker that writes one key after the other. */
function single(
  kind: string,
  keyOf: (count: number) => string,
  valueOf: (count: number) => unknown,
  options: { ttl?: number; policy?: "persist" | "evict" } = {},
): Worker {
  return async ({ service, ledger, next, running }) => {
    while (running()) {
      const count = next();
      const key = keyOf(count);
      const value = valueOf(count);
      await ledger.write(kind, kind, new Map([[key, value]]), options.ttl !== undefined, async () => [
        (await service.setKey(kind, key, value, options)).document,
      ]);
    }
  };
}

/** A worker that sets and deletes the same keys in turn. */
function deleting(kind: string): Worker {
  return async ({ service, ledger, next, running }) => {
    while (running()) {
      const key = `key-${next() % 5}`;
      const value = { count: next(), text: "to be deleted" };
      await ledger.write(kind, kind, new Map([[key, value]]), false, async () => [
        (await service.setKey(kind, key, value)).document,
      ]);
      await ledger.write(kind, kind, new Map([[key, undefined]]), false, async () => {
        await service.deleteKey(kind, key);
        return [undefined];
      });
    }
  };
}

/** A worker that sets many keys in one call, half of them large, and now and then deletes the whole store. */
function batches(kind: string): Worker {
  return async ({ service, ledger, next, running }) => {
    for (let round = 0; running(); round += 1) {
      const count = next();
      const entries = Array.from({ length: 120 }, (_, index) => ({
        key: `key-${index}`,
        value: { count, index, text: "b".repeat(index % 2 === 0 ? 40 : 3000) },
      }));
      const values = new Map(entries.map(({ key, value }) => [key, value]));
      await ledger.write(kind, kind, values, false, async () => {
        const results = await service.batchSetKeys(kind, entries);
        return results.map(({ document }) => document);
      });
      if (round % 3 < 2) continue;
      const nothing = new Map(entries.map(({ key }) => [key, undefined]));
      await ledger.write(`${kind} deleted`, kind, nothing, false, async () => {
        await service.deleteStore(kind);
        return entries.map(() => undefined);
      });
    }
  };
}

/** A worker that raises the shared counter by compare-and-set. */
const counting: Worker = async ({ service, counter, running }) => {
  while (running()) {
    const current = await service.getKey<number>(COUNTER_STORE, "counter");
    if (current === undefined) {
      await service.setKeyIfAbsent(COUNTER_STORE, "counter", 0);
      continue;
    }
    counter.unanswered += 1;
    const expectation = { expected: current.value };
    const { set } = await service.compareAndSetKey(COUNTER_STORE, "counter", expectation, current.value + 1);
    counter.unanswered -= 1;
    if (set) counter.acknowledged += 1;
  }
};

function large(count: number): unknown {
  return { count, text: `${count},`.repeat(Math.ceil(100_000 / `${count},`.length)) };
}

const WORKERS: readonly Worker[] = [
  single(
    "new keys",
    (count) => `key-${count}`,
    (count) => ({ count, nested: { list: [count, null, "text"] } }),
  ),
  single(
    "overwritten",
    (count) => `key-${count % 7}`,
    (count) => ({ count, text: "o".repeat(count % 2000) }),
  ),
  single(
    "large",
    (count) => `key-${count % 3}`,
    (count) => large(count),
  ),
  single(
    "lasting ttl",
    (count) => `key-${count % 50}`,
    (count) => ({ count }),
    { ttl: 3600 },
  ),
  single(
    "brief ttl",
    (count) => `key-${count % 50}`,
    (count) => ({ count }),
    { ttl: 0.05 },
  ),
  deleting("deleted"),
  batches("batches"),
  counting,
  counting,
  counting,
];

/**
 * Writes of every kind until it is told to stop, or the server is gone. Answers what failed: anything while running,
 * and afterwards what is not for want of a server.
 */
export async function writeUntilStopped(load: Load): Promise<readonly unknown[]> {
  const failures: unknown[] = [];
  await Promise.all(
    WORKERS.map(async (work) => {
      try {
        await work(load);
      } catch (error) {
        if (load.running() || !isStoreError(error, "UNAVAILABLE")) failures.push(error);
      }
    }),
  );
  return failures;
}
