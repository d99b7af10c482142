import type { KeyEvent, WatchEvent } from "../client/watch-events.js";
import { jsonLine, keyFields } from "./documents.js";
import { printName } from "./names.js";
import { cutToWidth } from "./table.js";
import { valueText } from "./value-text.js";

/** What a line shows. */
export interface LineOptions {
  /** Undefined: keys of several stores, which are named. */
  readonly storeName?: string | undefined;
  /** Whether keys of several contexts are told, which are named. */
  readonly allContexts?: boolean | undefined;
  /** Of the terminal; undefined: none, and lines are as long as they are. */
  readonly columns?: number | undefined;
}

const TYPE_WIDTH = "existing".length;

/** An event of a key for people: time, type, key and value. */
export function eventLine(event: KeyEvent<unknown, "raw">, options: LineOptions): string {
  const { type, datasetId, storeName, key } = event;
  const time = event.type === "existing" ? event.document.updatedAt : event.commitTime;
  const parts = [time.toISOString(), type.padEnd(TYPE_WIDTH)];
  if (options.allContexts === true) parts.push(datasetId ?? "-");
  if (options.storeName === undefined) parts.push(printName(storeName));
  parts.push(printName(key));
  if ("document" in event) parts.push(valueText(event.document.value.bytes, 0));
  const line = parts.join("  ");
  return options.columns === undefined ? line : cutToWidth(line, options.columns);
}

/** An event for programs: one line of JSON with the wire's names. */
export function eventJson(event: WatchEvent<unknown, "raw">): string {
  const type = snakeCase(event.type);
  const token = { resume_token: event.resumeToken ?? null };
  if ("document" in event) {
    const value = valueText(event.document.value.bytes, 0);
    return jsonLine({ type, ...keyFields(event.document), ...changeFields(event), ...token }, { value });
  }
  if ("key" in event) {
    const { storeName, key, datasetId } = event;
    const identity = { store_name: storeName, key, dataset_id: datasetId ?? null };
    return jsonLine({ type, ...identity, commit_time: event.commitTime.toISOString(), ...token });
  }
  if (event.type === "started")
    return jsonLine({ type, progress_interval_ms: event.progressIntervalMs, ...token });
  return jsonLine({ type, ...(event.type === "reset" ? { cause: snakeCase(event.cause) } : {}), ...token });
}

function changeFields(event: KeyEvent<unknown, "raw">): Record<string, unknown> {
  if (!("lookedUp" in event)) return {};
  return { commit_time: event.commitTime.toISOString(), document_looked_up: event.lookedUp };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
