import type { Change, Selector } from "../store/changes.js";

/** Names a scope: a context or all, and a store or all. */
function scopeKey(datasetId: string | undefined, storeName: string | undefined): string {
  return `${datasetId ?? "*"}/${storeName === undefined ? "" : `/${storeName}`}`;
}

function addTo<Watcher>(sets: Map<string, Set<Watcher>>, name: string, watcher: Watcher): boolean {
  const found = sets.get(name);
  if (found === undefined) sets.set(name, new Set([watcher]));
  else found.add(watcher);
  return found === undefined;
}

/** Answers whether it was the last one of its name. */
function removeFrom<Watcher>(sets: Map<string, Set<Watcher>>, name: string, watcher: Watcher): boolean {
  const found = sets.get(name);
  if (found?.delete(watcher) !== true || found.size > 0) return false;
  return sets.delete(name);
}

/** The watchers of one scope. */
class Scope<Watcher> {
  readonly #keys = new Map<string, Set<Watcher>>();
  readonly #prefixes = new Map<string, Set<Watcher>>();
  /** How many different prefixes have a length, by length: a key is looked up once per length. */
  readonly #lengths = new Map<number, number>();

  get isEmpty(): boolean {
    return this.#keys.size === 0 && this.#prefixes.size === 0;
  }

  add({ key, keyPrefix }: Selector, watcher: Watcher): void {
    if (key !== undefined) {
      addTo(this.#keys, key, watcher);
    } else if (addTo(this.#prefixes, keyPrefix, watcher)) {
      this.#lengths.set(keyPrefix.length, (this.#lengths.get(keyPrefix.length) ?? 0) + 1);
    }
  }

  remove({ key, keyPrefix }: Selector, watcher: Watcher): void {
    if (key !== undefined) {
      removeFrom(this.#keys, key, watcher);
    } else if (removeFrom(this.#prefixes, keyPrefix, watcher)) {
      const left = (this.#lengths.get(keyPrefix.length) ?? 1) - 1;
      if (left === 0) this.#lengths.delete(keyPrefix.length);
      else this.#lengths.set(keyPrefix.length, left);
    }
  }

  collect(key: string, into: Watcher[]): void {
    for (const watcher of this.#keys.get(key) ?? []) into.push(watcher);
    for (const length of this.#lengths.keys()) {
      if (length > key.length) continue;
      for (const watcher of this.#prefixes.get(key.slice(0, length)) ?? []) into.push(watcher);
    }
  }
}

/**
 * Finds the watchers that a change concerns, at a cost that grows with those and with the number of different lengths
 * of prefixes, not with the number of watchers.
 */
export class WatchIndex<Watcher extends { readonly selector: Selector }> {
  readonly #scopes = new Map<string, Scope<Watcher>>();
  readonly #watchers = new Set<Watcher>();

  get size(): number {
    return this.#watchers.size;
  }

  add(watcher: Watcher): void {
    const { selector } = watcher;
    const name = scopeKey(selector.datasetId, selector.storeName);
    let scope = this.#scopes.get(name);
    if (scope === undefined) {
      scope = new Scope();
      this.#scopes.set(name, scope);
    }
    scope.add(selector, watcher);
    this.#watchers.add(watcher);
  }

  remove(watcher: Watcher): void {
    if (!this.#watchers.delete(watcher)) return;
    const { selector } = watcher;
    const name = scopeKey(selector.datasetId, selector.storeName);
    const scope = this.#scopes.get(name);
    scope?.remove(selector, watcher);
    if (scope?.isEmpty === true) this.#scopes.delete(name);
  }

  /** All watchers. They may be removed meanwhile. */
  [Symbol.iterator](): IterableIterator<Watcher> {
    return this.#watchers.values();
  }

  /** Those that a change concerns, each once: a watcher is in one scope, under one key or prefix. */
  matching({ datasetId, storeName, key }: Change): readonly Watcher[] {
    const found: Watcher[] = [];
    for (const context of [datasetId, undefined]) {
      for (const store of [storeName, undefined])
        this.#scopes.get(scopeKey(context, store))?.collect(key, found);
    }
    return found;
  }
}
