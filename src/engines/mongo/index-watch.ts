import { isStoreError } from "../../store/errors.js";
import type { MongoConnection, MongoEvent } from "./connection.js";
import type { Indexes } from "./indexes.js";

/** The time between two looks, in ms: each costs one cheap command. */
const INTERVAL_MS = 10_000;

/** Looks after the indexes of a collection. */
export interface IndexWatch {
  /** Stops. */
  close(): void;
}

/** What is looked after, and who hears of it. */
export interface IndexWatchOptions {
  readonly connection: Pick<MongoConnection, "hints">;
  readonly collection: string;
  readonly indexes: Pick<Indexes, "look" | "close">;
  readonly onEvent: (event: MongoEvent) => void;
  /** The time between two looks, in ms. @default 10000 */
  readonly intervalMs?: number;
}

/**
 * Looks for the indexes of a collection again and again, since somebody may drop them, alone or with the collection;
 * at once when the server refuses a call because one that it names is gone.
 */
export function watchIndexes({
  connection,
  collection,
  indexes,
  onEvent,
  intervalMs = INTERVAL_MS,
}: IndexWatchOptions): IndexWatch {
  let timer: NodeJS.Timeout | undefined;
  let state: "waiting" | "looking" | "looking, and then again" | "closed" = "waiting";
  let failed = false;
  const schedule = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void look(), ms);
    timer.unref();
  };
  const tell = (error: unknown): void => {
    if (failed || isStoreError(error, "SHUTTING_DOWN")) return;
    const cause = isStoreError(error) ? error.cause : error;
    const message = `the indexes of collection ${collection} could not be looked for; it is tried again`;
    onEvent({ level: "warn", message, cause });
  };
  const look = async (): Promise<void> => {
    state = "looking";
    try {
      await indexes.look();
      failed = false;
    } catch (error) {
      if (!isClosed()) tell(error);
      failed = true;
    }
    if (isClosed()) return;
    schedule(isAsked() ? 0 : intervalMs);
    state = "waiting";
  };
  const isClosed = (): boolean => state === "closed";
  const isAsked = (): boolean => state === "looking, and then again";
  const unlisten = connection.hints.listen(() => {
    if (state === "waiting") schedule(0);
    else if (state === "looking") state = "looking, and then again";
  });
  schedule(intervalMs);
  return {
    close() {
      state = "closed";
      clearTimeout(timer);
      unlisten();
      indexes.close();
    },
  };
}
