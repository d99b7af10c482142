import type { KeyDocument, KeyMetadata } from "../../src/client/documents.js";
import type { ExecutionStoreService } from "../../src/client/service.js";

/** What a key held, or may hold: a value that no other write of the key has, or nothing. */
interface State {
  readonly value: unknown;
  /** As the server acknowledged it, or as it was found after a crash; undefined if it was neither. */
  readonly version: KeyMetadata | undefined;
  /** Whether it may be gone because its time has come. */
  readonly expires: boolean;
}

interface Entry {
  acknowledged: State;
  /** Writes since then whose end is not known. */
  attempted: State[];
}

/** What a ledger found after a crash. */
export interface Findings {
  /** Everything that breaks the promise of durable, whole writes. */
  readonly problems: readonly string[];
  /** Writes that the crash left without an answer. */
  readonly unanswered: number;
  /** Those of them that were on disk all the same. */
  readonly applied: number;
  readonly documents: number;
}

const NOTHING: State = { value: undefined, version: undefined, expires: false };

function sameValue(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function brief(state: State): string {
  return `${(JSON.stringify(state.value) ?? "nothing").slice(0, 80)} (${state.version?.etag ?? "no etag"})`;
}

/** Keeps account of every write: what was acknowledged, and what may have happened besides. One writer per key. */
export class Ledger {
  readonly #stores = new Map<string, Map<string, Entry>>();
  /** Acknowledged writes, by kind. */
  readonly acknowledged = new Map<string, number>();

  #entry(store: string, key: string): Entry {
    let keys = this.#stores.get(store);
    if (keys === undefined) {
      keys = new Map();
      this.#stores.set(store, keys);
    }
    let entry = keys.get(key);
    if (entry === undefined) {
      entry = { acknowledged: NOTHING, attempted: [] };
      keys.set(key, entry);
    }
    return entry;
  }

  /** Notes a write of several keys of a store, makes it, and notes its acknowledgement. */
  async write(
    kind: string,
    store: string,
    values: ReadonlyMap<string, unknown>,
    expires: boolean,
    make: () => Promise<readonly (KeyMetadata | undefined)[]>,
  ): Promise<void> {
    const entries = Array.from(values, ([key, value]) => ({ entry: this.#entry(store, key), value }));
    for (const { entry, value } of entries) entry.attempted.push({ value, version: undefined, expires });
    const versions = await make();
    for (const [index, { entry, value }] of entries.entries()) {
      entry.acknowledged = { value, version: versions[index], expires };
      entry.attempted = [];
    }
    this.acknowledged.set(kind, (this.acknowledged.get(kind) ?? 0) + 1);
  }

  /** Compares what is there with the account, and takes what is there as the new account. */
  async compare(service: ExecutionStoreService): Promise<Findings> {
    const problems: string[] = [];
    let unanswered = 0;
    let applied = 0;
    let documents = 0;
    for (const [store, keys] of this.#stores) {
      const before = Date.now();
      const list = await service.listValues(store).toArray();
      const after = Date.now();
      documents += list.length;
      const found = new Map(list.map((document) => [document.key, document]));
      for (const document of list) {
        if (!keys.has(document.key)) problems.push(`${store}/${document.key} was never written`);
      }
      for (const [key, entry] of keys) {
        unanswered += entry.attempted.length;
        const problem = check(entry, found.get(key), before, after);
        if (problem !== undefined) problems.push(`${store}/${key}: ${problem}`);
        applied += settle(entry, found.get(key));
      }
    }
    return { problems, unanswered, applied, documents };
  }
}

function check(
  { acknowledged, attempted }: Entry,
  found: KeyDocument | undefined,
  before: number,
  after: number,
): string | undefined {
  if (found?.expiresAt !== undefined && found.expiresAt.getTime() <= before)
    return "is expired and still there";
  if (found !== undefined && sameValue(found.value, acknowledged.value)) {
    const { value: _, ...version } = found;
    if (sameValue(version, acknowledged.version)) return undefined;
    return `has its value and another version: ${JSON.stringify(version)}, acknowledged ${brief(acknowledged)}`;
  }
  if (attempted.some(({ value }) => sameValue(value, found?.value))) return undefined;
  if (found === undefined) {
    const end = acknowledged.version?.expiresAt?.getTime();
    if (acknowledged.value === undefined || (end !== undefined && end <= after)) return undefined;
    // A write without an answer may have come, and gone with its time.
    if (attempted.some(({ expires }) => expires)) return undefined;
    return `is lost; acknowledged ${brief(acknowledged)}, attempted ${attempted.map(brief).join(" or ")}`;
  }
  const holds = brief({ value: found.value, version: found, expires: false });
  return `holds ${holds}; acknowledged ${brief(acknowledged)}, attempted ${attempted.map(brief).join(" or ")}`;
}

/** Takes what was found as acknowledged; answers how many attempts it shows. */
function settle(entry: Entry, found: KeyDocument | undefined): number {
  const shown = entry.attempted.some(({ value }) => sameValue(value, found?.value));
  if (found === undefined) {
    entry.acknowledged = NOTHING;
  } else {
    const { value, ...version } = found;
    entry.acknowledged = { value, version, expires: found.expiresAt !== undefined };
  }
  entry.attempted = [];
  return shown ? 1 : 0;
}
