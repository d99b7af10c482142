import { randomBytes } from "node:crypto";
import type { Clock } from "./clock.js";
import { Commits } from "./commits.js";
import type { Bytes, CollectionDatabases, Environment } from "./environment.js";
import { Etags } from "./record.js";
import type { Snapshot } from "./snapshot.js";

/** What a collection remembers besides its documents; written with every batch of changes. */
export interface CollectionState {
  /** The last change's number; a change never has the same number as another. */
  readonly revision: number;
  /** No change made from now on may have an `updatedAt` up to this: a document that is gone had it. */
  readonly versionFloor: number;
  /** Bytes that the change log holds, values that only it still needs included. */
  readonly historyBytes: number;
  /** The number of the last change that the log has forgotten: what is behind it is complete. */
  readonly historyFloor: number;
  /** The clock at the last change. */
  readonly time: number;
}

const NEW: CollectionState = { revision: 0, versionFloor: 0, historyBytes: 0, historyFloor: 0, time: 0 };

/** How much of the change log is kept: what is older, or beyond the size, goes. */
export interface History {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

/** One collection of an open database directory. */
export interface Collection {
  readonly name: string;
  /** Random, made with the collection: what sets its versions and its history apart from those of any other. */
  readonly incarnation: string;
  readonly environment: Environment;
  readonly databases: CollectionDatabases;
  readonly clock: Clock;
  readonly etags: Etags;
  readonly history: History;
  readonly commits: Commits;
}

function stateKey(collection: string): Buffer {
  return Buffer.from(`state:${collection}`);
}

/** The state as of the given transaction, or else of the read or write transaction that is running. */
export function readState(meta: Bytes, collection: string, options?: Snapshot["options"]): CollectionState {
  const bytes = meta.get(stateKey(collection), options);
  if (bytes === undefined) return NEW;
  return {
    revision: bytes.readDoubleLE(0),
    versionFloor: bytes.readDoubleLE(8),
    historyBytes: bytes.readDoubleLE(16),
    historyFloor: bytes.readDoubleLE(24),
    time: bytes.readDoubleLE(32),
  };
}

/** Puts a state into the running write transaction. */
export function writeState(meta: Bytes, collection: string, state: CollectionState): void {
  const bytes = Buffer.allocUnsafe(40);
  bytes.writeDoubleLE(state.revision, 0);
  bytes.writeDoubleLE(state.versionFloor, 8);
  bytes.writeDoubleLE(state.historyBytes, 16);
  bytes.writeDoubleLE(state.historyFloor, 24);
  bytes.writeDoubleLE(state.time, 32);
  void meta.put(stateKey(collection), bytes);
}

function readIncarnation(meta: Bytes, collection: string): string {
  const key = Buffer.from(`incarnation:${collection}`);
  const found = meta.get(key);
  if (found !== undefined) return found.toString();
  const made = randomBytes(9).toString("base64url");
  meta.putSync(key, Buffer.from(made));
  return made;
}

/** Opens a collection; the clock starts at or behind its last commit. */
export function openCollection(
  environment: Environment,
  name: string,
  clock: Clock,
  history: History,
): Collection {
  clock.advanceTo(readState(environment.meta, name).time);
  const incarnation = readIncarnation(environment.meta, name);
  return {
    name,
    incarnation,
    environment,
    databases: environment.collection(name),
    clock,
    etags: new Etags(incarnation),
    history,
    commits: new Commits(),
  };
}
