import type { Client } from "@grpc/grpc-js";
import { isStoreError, type StoreError } from "../../../src/store/errors.js";
import type {
  Disturbance,
  Place,
  Put,
  Read,
  Removal,
  TokenOrigin,
  Version,
  WatchRequest,
} from "../checkers/history.js";
import { RecordedStream } from "./recorded-stream.js";
import { now } from "./seen.js";

/** What is answered as an error, but is none to be counted. */
const REFUSALS: ReadonlySet<string> = new Set(["KEY_NOT_FOUND", "STORE_ALREADY_EXISTS"]);

/** A key to be written; every value is written once. */
export interface AskedPut extends Place {
  /** Undefined: the value stays. */
  readonly value: string | undefined;
}

/** What became of a put: nothing, or a version. */
export interface PutAnswer {
  /** Undefined: nothing was written. */
  readonly version: Version | undefined;
  readonly created: boolean | undefined;
}

/** Writes everything down that is asked and answered. */
export class Recorder {
  readonly puts: Put[] = [];
  readonly removals: Removal[] = [];
  readonly reads: Read[] = [];
  readonly streams: RecordedStream[] = [];
  readonly disturbances: Disturbance[] = [];
  /** Errors that unary calls ended with, but for those that say no. */
  readonly errors: StoreError[] = [];
  #values = 0;

  /** A number that no other value has. */
  nextValue(): number {
    this.#values += 1;
    return this.#values;
  }

  /** Makes a call that writes some keys; answers what it answers, or undefined if it failed. */
  async put(
    asked: readonly AskedPut[],
    call: () => Promise<readonly PutAnswer[]>,
  ): Promise<readonly PutAnswer[] | undefined> {
    const calledAt = now();
    const answers = await this.#outcome(call);
    const answeredAt = answers === undefined ? Number.POSITIVE_INFINITY : now();
    if (answers === "nothing happened") return undefined;
    for (const [index, put] of asked.entries()) {
      const { version, created } = answers?.[index] ?? {};
      const outcome = answers === undefined ? "unknown" : version === undefined ? "refused" : "written";
      this.puts.push({ ...put, calledAt, answeredAt, outcome, version, created });
    }
    return answers;
  }

  /** Makes a call that removes keys, and answers how many. */
  async remove(
    asked: Pick<Removal, "datasetId" | "storeName" | "keys" | "storeDocuments">,
    call: () => Promise<number>,
  ): Promise<void> {
    const calledAt = now();
    const count = await this.#outcome(call);
    if (count === "nothing happened") return;
    const answeredAt = count === undefined ? Number.POSITIVE_INFINITY : now();
    this.removals.push({ ...asked, calledAt, answeredAt, count });
  }

  /** Makes a call that changes no key. */
  async other<T>(call: () => Promise<T>): Promise<T | undefined> {
    const answer = await this.#outcome(call);
    return answer === "nothing happened" ? undefined : answer;
  }

  /** Opens a stream. */
  watch(channel: Client, name: string, request: WatchRequest, origin?: TokenOrigin): RecordedStream {
    const stream = new RecordedStream(channel, `${name}.${this.streams.length}`, request, origin);
    this.streams.push(stream);
    return stream;
  }

  /** Disturbs servers or database for as long as the call takes. */
  async disturb<T>(call: () => Promise<T>): Promise<T> {
    const from = now();
    const disturbance = { from, to: Number.POSITIVE_INFINITY };
    this.disturbances.push(disturbance);
    try {
      return await call();
    } finally {
      disturbance.to = now();
    }
  }

  /** What was answered; undefined if nobody knows what became of it. */
  async #outcome<T>(call: () => Promise<T>): Promise<T | undefined | "nothing happened"> {
    try {
      return await call();
    } catch (error) {
      if (!isStoreError(error)) throw error;
      if (!REFUSALS.has(error.reason)) this.errors.push(error);
      // A read has no outcome, and changes nothing.
      return error.outcome === "UNKNOWN" ? undefined : "nothing happened";
    }
  }
}
