import type { Stampable } from "./stamp.js";

/** A key to write. */
export interface Place {
  readonly store: string;
  readonly key: string;
}

/** What a watch is about: a key, or all of a store. */
export interface Watched {
  readonly store: string;
  readonly key?: string;
}

/** A gRPC server whose keys can be written and watched, and how. */
export interface WatchedServer {
  readonly name: string;
  /** On 127.0.0.1. */
  readonly port: number;
  readonly pid: number;
  /** A call that is answered with a stream, whose first message says that it has begun. */
  readonly watch: {
    /** `/package.Service/Method`. */
    readonly path: string;
    /** Whether its request ends with its message. */
    readonly ends: boolean;
    /** The encoded request to watch from now on. */
    message(watched: Watched): Buffer;
  };
  readonly write: {
    readonly path: string;
    /** An encoded request to set a key to STAMPED_VALUE. */
    message(place: Place): Stampable;
  };
}
