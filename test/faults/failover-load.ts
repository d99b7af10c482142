import { setTimeout as delay } from "node:timers/promises";
import type { ExecutionStoreService } from "../../src/client/service.js";
import { isStoreError, type StoreError } from "../../src/store/errors.js";

/** What clients do while the database changes its primary, and the account that they keep of it. */

/** The store of everything here. */
const STORE = "failover";
/** How long a client waits after an error, in ms. */
const PAUSE_MS = 50;

/** What the workers share. */
export interface Work {
  readonly services: readonly ExecutionStoreService[];
  readonly running: () => boolean;
  readonly account: Account;
}

/** What may be there: what was acknowledged last, or what had no certain end since the beginning. */
interface KeyAccount {
  acknowledged: number | undefined;
  readonly unknown: Set<number | undefined>;
}

/** What was acknowledged, and what may have happened besides. */
export class Account {
  readonly #keys = new Map<string, KeyAccount>();
  /** Per lock, who won it for certain, and who may have. */
  readonly #locks = new Map<string, { won: number[]; unknown: number[] }>();
  readonly #counters = new Map<string, { acknowledged: number; unknown: number }>();
  /** Every error, and whether it was a write's. */
  readonly errors: { readonly error: StoreError; readonly ofWrite: boolean }[] = [];
  acknowledged = 0;

  key(name: string): KeyAccount {
    return entry(this.#keys, name, () => ({ acknowledged: undefined, unknown: new Set() }));
  }

  lock(name: string): { won: number[]; unknown: number[] } {
    return entry(this.#locks, name, () => ({ won: [], unknown: [] }));
  }

  counter(name: string): { acknowledged: number; unknown: number } {
    return entry(this.#counters, name, () => ({ acknowledged: 0, unknown: 0 }));
  }

  /** Makes a call; undefined, after a pause, if it failed. */
  async attempt<T>(ofWrite: boolean, call: () => Promise<T>, onUnknown?: () => void): Promise<T | undefined> {
    try {
      const answer = await call();
      if (ofWrite) this.acknowledged += 1;
      return answer;
    } catch (error) {
      if (!isStoreError(error)) throw error;
      this.errors.push({ error, ofWrite });
      if (error.outcome !== "NOT_APPLIED") onUnknown?.();
      await delay(PAUSE_MS);
      return undefined;
    }
  }

  /** Compares what is there, through one server, with the account. */
  async problems(service: ExecutionStoreService): Promise<string[]> {
    const problems: string[] = [];
    const read = async (names: Iterable<string>): Promise<Map<string, number>> => {
      const found = await service.batchGetKeys<number>(STORE, names);
      return new Map([...found].map(([key, { value }]) => [key, value]));
    };
    const values = await read(this.#keys.keys());
    for (const [key, { acknowledged, unknown }] of this.#keys) {
      const value = values.get(key);
      if (value === acknowledged || unknown.has(value)) continue;
      problems.push(`${key} is ${value}; acknowledged ${acknowledged}, perhaps ${[...unknown].join(" or ")}`);
    }
    const holders = await read(this.#locks.keys());
    for (const [lock, { won, unknown }] of this.#locks) {
      const holder = holders.get(lock);
      const [winner] = won;
      const expected = winner === undefined ? [undefined, ...unknown] : [winner];
      if (won.length > 1) problems.push(`${lock} was won by ${won.join(" and ")}`);
      if (!expected.includes(holder))
        problems.push(`${lock} is held by ${holder}, not ${expected.join(" or ")}`);
    }
    const counts = await read(this.#counters.keys());
    for (const [counter, { acknowledged, unknown }] of this.#counters) {
      const value = counts.get(counter) ?? 0;
      if (value >= acknowledged && value <= acknowledged + unknown) continue;
      problems.push(`${counter} is ${value}; acknowledged ${acknowledged}, perhaps ${unknown} more`);
    }
    return problems;
  }

  /** Locks that were fought over, and what the counters counted. */
  get size(): { readonly keys: number; readonly locks: number; readonly counted: number } {
    const counted = [...this.#counters.values()].reduce((sum, { acknowledged }) => sum + acknowledged, 0);
    return { keys: this.#keys.size, locks: this.#locks.size, counted };
  }
}

function entry<T>(map: Map<string, T>, name: string, make: () => T): T {
  const found = map.get(name) ?? make();
  map.set(name, found);
  return found;
}

/** Sets some keys of its own in turn, now and then deletes one, or sets them all at once. */
export async function setOwnKeys({ services, running, account }: Work, worker: number): Promise<void> {
  for (let count = 1; running(); count += 1) {
    const service = services[(worker + count) % services.length];
    if (service === undefined) return;
    const names = Array.from({ length: 4 }, (_, index) => `worker-${worker}-key-${index}`);
    const some = count % 20 === 0 ? names : [names[count % names.length] ?? ""];
    const value = count % 25 === 7 ? undefined : count;
    const keys = some.map((name) => account.key(name));
    const done = await account.attempt(
      true,
      async () => {
        const [name = ""] = some;
        if (value === undefined) await service.batchDeleteKeys(STORE, some);
        else if (some.length > 1)
          await service.batchSetKeys(
            STORE,
            some.map((key) => ({ key, value })),
          );
        else await service.setKey(STORE, name, value);
        return true;
      },
      () => {
        for (const key of keys) key.unknown.add(value);
      },
    );
    if (done === true) for (const key of keys) key.acknowledged = value;
  }
}

/** Tries to create one lock after the other, at the same time as other workers. */
export async function fightForLocks({ services, running, account }: Work, worker: number): Promise<void> {
  for (let number = 0; running(); number += 1) {
    const service = services[worker % services.length];
    if (service === undefined) return;
    const name = `lock-${number}`;
    const lock = account.lock(name);
    const answer = await account.attempt(
      true,
      () => service.setKeyIfAbsent(STORE, name, worker),
      () => void lock.unknown.push(worker),
    );
    if (answer?.set === true) lock.won.push(worker);
  }
}

/** Raises one of two counters, which other workers raise, too: one by value, one by etag. */
export async function raiseCounter({ services, running, account }: Work, worker: number): Promise<void> {
  const byEtag = worker % 2 === 0;
  const name = byEtag ? "counter by etag" : "counter by value";
  const counter = account.counter(name);
  for (let turn = worker; running(); turn += 1) {
    const service = services[turn % services.length];
    if (service === undefined) return;
    const read = await account.attempt(false, async () => ({
      document: await service.getKey<number>(STORE, name),
    }));
    if (read === undefined) continue;
    const { document } = read;
    const next = (document?.value ?? 0) + 1;
    const answer = await account.attempt(
      true,
      () =>
        document === undefined
          ? service.setKeyIfAbsent(STORE, name, next)
          : service.compareAndSetKey(
              STORE,
              name,
              byEtag ? { etag: document.etag } : { expected: document.value },
              next,
            ),
      () => void (counter.unknown += 1),
    );
    if (answer?.set === true) counter.acknowledged += 1;
  }
}
