import type { Place, Watched } from "./watched-server.js";

/** What is written, and what is watched. */
export interface WatchLoad {
  /** Who watches what, for people. */
  readonly name: string;
  /** The keys that are written, in turn. */
  readonly written: readonly Place[];
  /** A watch each. */
  readonly watched: readonly Watched[];
  /** How many watches each write is told to. */
  readonly eventsPerWrite: number;
}

const STORE = "watched";
/** So many that no key is written faster than a database can write one. */
const STORE_KEYS = 100;

function watchersText(count: number): string {
  return `${count.toLocaleString("en-US")} watcher${count === 1 ? "" : "s"}`;
}

/** So many keys of one store. */
export function places(count: number): readonly Place[] {
  return Array.from({ length: count }, (_, index) => ({ store: STORE, key: `key-${index}` }));
}

/** Watchers of a key each. */
export function ownKeys(count: number): WatchLoad {
  const keys = places(count);
  return { name: `${watchersText(count)} of a key each`, written: keys, watched: keys, eventsPerWrite: 1 };
}

/** The same in a store each, for whoever hears of whole stores only. */
export function ownStores(count: number): WatchLoad {
  const keys = places(count).map(({ key }, index) => ({ store: `${STORE}-${index}`, key }));
  return { ...ownKeys(count), written: keys, watched: keys };
}

/** Watchers that are all told every write, of one key. */
export function oneKey(count: number): WatchLoad {
  const keys = places(1);
  const watched = Array.from({ length: count }, () => keys).flat();
  return { name: `${watchersText(count)} of one key`, written: keys, watched, eventsPerWrite: count };
}

/** The same of all keys of a store. */
export function oneStore(count: number): WatchLoad {
  return {
    name: `${watchersText(count)} of one store`,
    written: places(STORE_KEYS),
    watched: Array.from({ length: count }, () => ({ store: STORE })),
    eventsPerWrite: count,
  };
}
