import {
  WatchKeysResponse,
  WatchKeysResponse_Kind,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import type { KeyDocument } from "../store/document.js";
import { MAX_PAGE_BYTES } from "../store/limits.js";
import type { EncodedMessage } from "./definition.js";
import type { ValueForm } from "./document-field.js";
import { encodeExisting } from "./event-payload.js";
import { MessageWriter, stringFieldSize } from "./message-writer.js";

/** What a message holds besides events: its kind and a token, which is long only where a foreign `_id` is. */
const OVERHEAD_BYTES = 4096;
/** Bytes of events in one message, unless one change has more. */
export const MAX_EVENTS_BYTES = MAX_PAGE_BYTES - OVERHEAD_BYTES;

/** Messages up to this size are shared. */
const MAX_SHARED_BYTES = 1024 * 1024;

/** STARTED. */
export function startedMessage(progressMs: number, resumeToken: string): EncodedMessage {
  const seconds = Math.floor(progressMs / 1000);
  return WatchKeysResponse.encode({
    kind: WatchKeysResponse_Kind.KIND_STARTED,
    events: [],
    resumeToken,
    progressInterval: { seconds: BigInt(seconds), nanos: Math.round((progressMs - seconds * 1000) * 1e6) },
  }).finish();
}

/** SNAPSHOT_COMPLETE. */
export function snapshotCompleteMessage(resumeToken: string): EncodedMessage {
  return message(WatchKeysResponse_Kind.KIND_SNAPSHOT_COMPLETE, [], resumeToken);
}

/** SNAPSHOT. */
export function snapshotMessage(payloads: readonly Uint8Array[]): EncodedMessage {
  return message(WatchKeysResponse_Kind.KIND_SNAPSHOT, payloads, "");
}

/** SNAPSHOT messages, cut where the form of the wire is larger than the documents were as stored. */
export function* snapshotMessages(
  documents: readonly KeyDocument[],
  form: ValueForm,
): Generator<EncodedMessage> {
  let payloads: Uint8Array[] = [];
  let bytes = 0;
  for (const document of documents) {
    const payload = encodeExisting(document, form);
    if (payloads.length > 0 && bytes + payload.length > MAX_EVENTS_BYTES) {
      yield snapshotMessage(payloads);
      payloads = [];
      bytes = 0;
    }
    payloads.push(payload);
    bytes += payload.length;
  }
  if (payloads.length > 0) yield snapshotMessage(payloads);
}

function message(kind: WatchKeysResponse_Kind, events: readonly Uint8Array[], token: string): EncodedMessage {
  let size = 2 + stringFieldSize(token);
  for (const payload of events) size += payload.length;
  const writer = new MessageWriter(size).byte(8).byte(kind);
  for (const payload of events) writer.raw(payload);
  return writer.stringField(26, token).finish();
}

/** Makes the EVENTS and PROGRESS messages of many watches; those that are the same are made once. */
export class StepMessages {
  #payloads: readonly Uint8Array[] = [];
  #token = "";
  #message: EncodedMessage = new Uint8Array(0);

  /** EVENTS, or PROGRESS where there are none. */
  make(payloads: readonly Uint8Array[], token: string): EncodedMessage {
    if (!this.#isLast(payloads, token)) {
      const { KIND_EVENTS, KIND_PROGRESS } = WatchKeysResponse_Kind;
      const made = message(payloads.length === 0 ? KIND_PROGRESS : KIND_EVENTS, payloads, token);
      // A large one would be kept for as long as nothing else is told.
      if (made.length > MAX_SHARED_BYTES) return made;
      this.#message = made;
      this.#payloads = payloads;
      this.#token = token;
    }
    return this.#message;
  }

  #isLast(payloads: readonly Uint8Array[], token: string): boolean {
    const last = this.#payloads;
    return (
      token === this.#token &&
      payloads.length === last.length &&
      payloads.every((payload, index) => payload === last[index])
    );
  }
}
