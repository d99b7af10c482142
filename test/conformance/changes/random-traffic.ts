import type { KeyDocument, Scope } from "../../../src/store/document.js";
import type { WatchableEngine, Write } from "../../../src/store/engine.js";
import { DEFAULT_COLLECTION } from "../../../src/store/limits.js";
import type { Choices } from "../../race/random.js";
import { documentsOf, FIRST, NONE, SECOND, valueOf } from "../world.js";

const SCOPES = [NONE, FIRST, SECOND];
const STORES = ["jobs", "cache"];
/** Few, so that writes meet. */
const KEYS = ["a", "b", "c", "ключ"];
/** 0: none. */
const TTLS_MS = [0, 0, 1, 30, 1_000_000];
/** Within the documents, beside them, and of several network messages. */
const TEXT_LENGTHS = [0, 10, 900, 1100, 20_000];

/** One random write of one of all kinds. */
export async function writeAtRandom(engine: WatchableEngine, choices: Choices): Promise<void> {
  const scope: Scope = choices.of(SCOPES);
  const store = choices.of(STORES);
  const key = choices.of(KEYS);
  const write = (): Write => ({
    value: valueOf({ number: choices.below(1e6), text: "x".repeat(choices.of(TEXT_LENGTHS)) }),
    ttlMs: choices.of(TTLS_MS) || undefined,
    policy: choices.of(["persist", "evict"]),
  });
  const etag = async (): Promise<string> => (await engine.getKey(scope, store, key, false))?.etag ?? "none";
  const writes: readonly (readonly [weight: number, run: () => Promise<unknown>])[] = [
    [10, () => engine.setKey(scope, store, key, write())],
    [4, () => engine.setKeyIfAbsent(scope, store, key, write())],
    [4, async () => engine.compareAndSetKey(scope, store, key, { etag: await etag() }, write())],
    [4, () => engine.deleteKey(scope, store, key, undefined)],
    [2, () => engine.updateTtl(scope, store, key, choices.of([1, 30, 1_000_000]))],
    [2, () => engine.updatePolicy(scope, store, key, choices.of(["persist", "evict"]))],
    [
      2,
      () =>
        engine.batchSetKeys(
          scope,
          store,
          KEYS.map((each) => ({ key: each, ...write() })),
        ),
    ],
    [2, () => engine.batchDeleteKeys(scope, store, KEYS.slice(1))],
    [1, () => engine.deleteStore(scope, store)],
    [1, () => engine.clearCache(scope, choices.below(2) === 0 ? undefined : store)],
    [1, () => engine.cleanup(scope)],
    [1, () => engine.deleteStoreGlobal(DEFAULT_COLLECTION, store)],
    [1, () => engine.createStore(scope, store, undefined, "evict").catch(() => undefined)],
  ];
  let at = choices.below(writes.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, run] of writes) {
    if (at < weight) {
      await run();
      return;
    }
    at -= weight;
  }
}

/** All that is left of random writes, store by store. */
export async function liveDocuments(engine: WatchableEngine): Promise<readonly KeyDocument[]> {
  const stores = SCOPES.flatMap((scope) => STORES.map((store) => documentsOf(engine, scope, store)));
  return (await Promise.all(stores)).flat();
}

/** Several writers side by side, a number of writes each. */
export async function writeSideBySide(
  engine: WatchableEngine,
  choices: Choices,
  writers: number,
  writes: number,
): Promise<void> {
  await Promise.all(
    Array.from({ length: writers }, async () => {
      for (let count = 0; count < writes; count += 1) await writeAtRandom(engine, choices);
    }),
  );
}
