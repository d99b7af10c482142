import type { Watch } from "../client/watch.js";
import type { WatchEvent } from "../client/watch-events.js";
import type { WatchOptions } from "../client/watch-options.js";
import { createStopRequests, STOP_SIGNALS, type StopSignal } from "../stop-signals.js";
import { isStoreError } from "../store/errors.js";
import { type CommandEnd, EXIT_CODE_OF } from "./exit-codes.js";
import { printName } from "./names.js";
import type { Session } from "./session.js";
import { eventJson, eventLine } from "./watch-lines.js";

/** What is watched, and from where on. */
export type WatchChoices = Pick<
  WatchOptions,
  "storeName" | "key" | "keyPrefix" | "allContexts" | "snapshot" | "resumeToken"
>;

/** Tells changes until a signal ends it. Throws StoreError where the watch fails. */
export async function watch(session: Session, choices: WatchChoices): Promise<CommandEnd> {
  const { service, json, output } = session;
  const events = service.watchKeys<unknown, "raw">({
    ...choices,
    encoding: "raw",
    // A command says at once that no server is there; one that has been there will come back.
    retry: { waitForServerMs: 0 },
    onHistoryLost: choices.snapshot === true ? "snapshot" : "throw",
    onInterruption: (error) => output.message(`${error.message}; trying again`),
  });
  let stoppedBy: StopSignal | undefined;
  const requestOf = createStopRequests(() => performance.now());
  const stop = (signal: StopSignal): void => {
    const request = requestOf(signal);
    if (request === "exit") process.exit(STOP_SIGNALS[signal]);
    if (request === "ignore") return;
    stoppedBy = signal;
    events.close();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    await tell(events, session, choices);
  } catch (error) {
    if (!isStoreError(error, "OUT_OF_RANGE")) throw error;
    output.message(error.message);
    output.message("to see what is there now, and every change from then on, give --snapshot, not --since");
    return EXIT_CODE_OF[error.kind];
  }
  const { resumeToken } = events;
  if (!json && resumeToken !== undefined) output.message(`go on later with --since ${resumeToken}`);
  // It ends by nothing else.
  return STOP_SIGNALS[stoppedBy ?? "SIGINT"];
}

async function tell(
  events: Watch<unknown, "raw">,
  { json, output, address }: Session,
  choices: WatchChoices,
): Promise<void> {
  for await (const event of events) {
    if (json) await output.line(eventJson(event));
    else if ("key" in event) {
      await output.line(eventLine(event, { ...choices, columns: process.stdout.columns }));
    } else {
      const message = messageOf(event, choices, address);
      if (message !== undefined) output.message(message);
    }
  }
}

/** What is said on stderr of an event that is not about a key. */
function messageOf(
  event: WatchEvent<unknown, "raw">,
  { storeName }: WatchChoices,
  address: string,
): string | undefined {
  if (event.type === "reset") return `${event.error.message}; what was told is void, a new snapshot follows`;
  if (event.type !== "started") return undefined;
  const what = storeName === undefined ? "every store" : `store ${printName(storeName)}`;
  return `watching ${what} at ${address}; Ctrl-C ends it`;
}
