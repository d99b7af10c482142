import { type Document, ObjectId, type Timestamp } from "mongodb";
import type { CallOptions } from "../../../store/engine.js";
import type { Limits, MongoConnection } from "../connection.js";
import { untilAborted } from "../until-aborted.js";
import { operationTimeOf } from "./cursor-reply.js";
import { type ClusterTime, clusterTimeOf, timestampOf } from "./position.js";

/** The times by which the deployment orders its writes. */
export class ClusterClock {
  readonly #connection: MongoConnection;
  readonly #collection: string;
  #latest: ClusterTime = "";
  #running: Promise<ClusterTime> | undefined;
  #next: Promise<ClusterTime> | undefined;

  constructor(connection: MongoConnection, collection: string) {
    this.#connection = connection;
    this.#collection = collection;
  }

  /** The latest time that it has answered. */
  get latest(): ClusterTime {
    return this.#latest;
  }

  /**
   * A time at or after all writes that were acknowledged before the call, and before all that begin after it has
   * answered. Those who ask while a question is on its way share the next one.
   */
  now(options: CallOptions | undefined): Promise<ClusterTime> {
    options?.signal?.throwIfAborted();
    this.#next ??= this.#askNext();
    return untilAborted(this.#next, options?.signal);
  }

  /**
   * The same, by a write that only the primary of now can make; not before it has reached a majority. What was there
   * before has then an end: without other writes, the time of the deployment would stand still for up to ten seconds.
   */
  advance(options: CallOptions | undefined): Promise<ClusterTime> {
    if (this.#connection.sharded) return this.now(options);
    return this.#connection.run(options, "read", (limits) => this.#ask({ level: "linearizable" }, limits));
  }

  /** A time at or after all that the primary has written when it is called, acknowledged or not; once a majority has it. */
  latestWrite(options: CallOptions | undefined): Promise<ClusterTime> {
    return this.#connection.run(options, "read", async (limits) => {
      const time = await this.#ask({ level: "local" }, limits);
      await this.#ask({ level: "majority", afterClusterTime: timestampOf(time) }, limits);
      return time;
    });
  }

  async #askNext(): Promise<ClusterTime> {
    await this.#running?.catch(() => undefined);
    this.#running = this.#next;
    this.#next = undefined;
    return await this.#connection.run(undefined, "read", (limits) => this.#askAll(limits));
  }

  /** Through mongos, the first question hears of the times of all shards, and the second one tells them of the latest. */
  async #askAll(limits: Limits): Promise<ClusterTime> {
    const time = await this.#ask({ level: "majority" }, limits);
    if (this.#connection.sharded) await this.#ask({ level: "majority" }, limits);
    return time;
  }

  async #ask(readConcern: Document, { maxTimeMS }: Limits): Promise<ClusterTime> {
    const { db, lost, sharded } = this.#connection;
    const command = {
      find: this.#collection,
      filter: { _id: new ObjectId() },
      limit: 1,
      readConcern,
      maxTimeMS,
    };
    const reply = await untilAborted(db.command(command, { signal: lost }), lost);
    const time = clusterTimeOf(sharded ? gossipedTimeOf(reply) : operationTimeOf(reply));
    if (time > this.#latest) this.#latest = time;
    return time;
  }
}

function gossipedTimeOf(reply: Document): Timestamp {
  return reply["$clusterTime"].clusterTime;
}
