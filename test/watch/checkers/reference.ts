import type {
  EventType,
  LiveDocument,
  Place,
  Put,
  RecordedHistory,
  SeenDocument,
  SeenEvent,
  Stream,
  TokenOrigin,
  WatchRequest,
} from "./history.js";

/** An event of the reference: what the order of all changes is taken from. */
export interface ReferenceEvent {
  /** Its place in the order. */
  readonly index: number;
  readonly event: SeenEvent;
  /** The put that made it; undefined where it is a removal's, foreign, or its put has no answer. */
  readonly put: Put | undefined;
}

/** Where in the order a stream begins: at the first place at the earliest, at the last at the latest. */
export interface Bounds {
  readonly least: number;
  readonly most: number;
}

/** How far the store's clock may be off the recording process's, in ms: it stands still while it commits. */
export const CLOCK_SLACK_MS = 1000;

const references = new WeakMap<RecordedHistory, Reference>();

/** The reference of a history, made once. */
export function referenceOf(history: RecordedHistory): Reference {
  let reference = references.get(history);
  if (reference === undefined) {
    reference = new Reference(history);
    references.set(history, reference);
  }
  return reference;
}

/** The name of a key among all keys. */
export function placeName({ datasetId, storeName, key }: Place): string {
  return `${datasetId}/${storeName}/${key}`;
}

function versionName(document: SeenDocument | Put): string {
  return `${placeName(document)} ${document.version?.etag}`;
}

/** What an event has in common with the same event in another stream: what every encoding sends. */
function eventName({ type, document, commitTime }: SeenEvent): string {
  return `${type} ${placeName(document)} ${document.version?.etag ?? commitTime}`;
}

/** For a message about a stream. */
export function streamText({ name, request, origin }: Stream): string {
  const { datasetId, allContexts, storeName, key, keyPrefix, snapshot, types } = request;
  const parts = [
    allContexts ? "all contexts" : datasetId === "" ? "no dataset" : datasetId.slice(-4),
    storeName === "" ? "all stores" : storeName,
    key === undefined ? (keyPrefix === "" ? "all keys" : `${keyPrefix}…`) : key,
    ...(types.length === 0 ? [] : [types.join("+")]),
    ...(snapshot ? ["snapshot"] : []),
    ...(origin === undefined
      ? []
      : [`resumed after ${origin.messages} messages of ${origin.stream.name} by its ${origin.from}`]),
  ];
  return `${name} (${parts.join(", ")})`;
}

/** For a message about an event. */
export function eventText({ type, document, commitTime }: SeenEvent): string {
  const { version, value } = document;
  const etag = version === undefined ? "" : ` etag ${version.etag}`;
  const expiry = version?.expiresAt === undefined ? "" : ` expires ${version.expiresAt}`;
  const shown = value === undefined ? "" : ` ${value.slice(0, 40)}`;
  return `${type.toUpperCase()} ${placeName(document)}${etag}${expiry}${shown} committed ${commitTime}`;
}

/** Whether two documents, of which neither lacks its value by request, are the same. */
export function sameDocument(a: SeenDocument | undefined, b: SeenDocument | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.value === b.value && placeName(a) === placeName(b) && sameVersion(a.version, b.version);
}

/** Whether two versions are the same in everything. */
export function sameVersion(a: SeenDocument["version"], b: SeenDocument["version"]): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.etag === b.etag &&
    a.createdAt === b.createdAt &&
    a.updatedAt === b.updatedAt &&
    a.expiresAt === b.expiresAt &&
    a.policy === b.policy
  );
}

/** A document as an encoding shows it. */
export function asShown(
  document: SeenDocument | undefined,
  { encoding }: WatchRequest,
): SeenDocument | undefined {
  return document === undefined || encoding !== "none" ? document : { ...document, value: undefined };
}

/** Whether a watcher is to get a key's events. */
export function selects(request: WatchRequest, { datasetId, storeName, key }: Place): boolean {
  if (!request.allContexts && request.datasetId !== datasetId) return false;
  if (request.storeName !== "" && request.storeName !== storeName) return false;
  return request.key === undefined ? key.startsWith(request.keyPrefix) : request.key === key;
}

function wants({ types }: WatchRequest, type: EventType): boolean {
  return types.length === 0 || types.includes(type);
}

/** The state of all keys, as events make it. */
export class State {
  readonly documents = new Map<string, LiveDocument>();

  /** Lets an event happen; answers the document just before it. */
  apply({ type, document }: SeenEvent): LiveDocument | undefined {
    const name = placeName(document);
    const before = this.documents.get(name);
    const { version, value } = document;
    if (type === "deleted" || type === "expired") this.documents.delete(name);
    else if (version !== undefined) this.documents.set(name, { ...document, version, value: value ?? "" });
    return before;
  }
}

/** The acknowledged puts by what they wrote. */
function putsOf({ puts }: RecordedHistory): Map<string, Put> {
  const written = puts.filter(({ version }) => version !== undefined);
  return new Map(written.map((put) => [versionName(put), put]));
}

/** The events with the puts whose version was guessed: they are known by their value, and are gone already. */
function withGuesses(history: RecordedHistory, events: readonly ReferenceEvent[]): ReferenceEvent[] {
  const known = new Set(events.map(({ put }) => put));
  const guessed = new Map(
    history.puts
      .filter((put) => put.version !== undefined && put.created === true && !known.has(put))
      .map((put) => [`${placeName(put)} ${put.value}`, put]),
  );
  const gone = new Map<string, number>();
  return events
    .toReversed()
    .map((each) => {
      const { event, put } = each;
      const { document, commitTime = 0, type } = event;
      const name = placeName(document);
      const end = gone.get(name) ?? Number.POSITIVE_INFINITY;
      if (document.version === undefined) gone.set(name, commitTime);
      else gone.delete(name);
      const guess =
        type === "created" && put === undefined ? guessed.get(`${name} ${document.value}`) : undefined;
      const later = (guess?.version?.createdAt ?? 0) >= (document.version?.createdAt ?? 0);
      return guess !== undefined && later && end < guess.answeredAt + CLOCK_SLACK_MS
        ? { ...each, put: guess }
        : each;
    })
    .toReversed();
}

/** The order of all changes, and where each stream was in it. */
export class Reference {
  readonly events: readonly ReferenceEvent[];
  readonly #indexes = new Map<string, number[]>();
  readonly #versions = new Map<string, number>();
  readonly #puts = new Map<Put, ReferenceEvent>();
  readonly #matching = new WeakMap<WatchRequest, readonly number[]>();
  readonly #received = new WeakMap<Stream, readonly (number | undefined)[]>();
  readonly #bounds = new WeakMap<Stream, Bounds>();

  constructor(history: RecordedHistory) {
    const puts = putsOf(history);
    this.events = history.reference.flatMap(liveEvents).map((event, index) => {
      const { document } = event;
      const name = eventName(event);
      this.#indexes.set(name, [...(this.#indexes.get(name) ?? []), index]);
      if (document.version === undefined) return { index, event, put: undefined };
      this.#versions.set(versionName(document), index);
      return { index, event, put: puts.get(versionName(document)) };
    });
    if (history.allowed.guessedVersions === true) this.events = withGuesses(history, this.events);
    for (const each of this.events) if (each.put !== undefined) this.#puts.set(each.put, each);
  }

  /** The event of a put that was acknowledged; undefined if there is none. */
  ofPut(put: Put): ReferenceEvent | undefined {
    return this.#puts.get(put);
  }

  /** The one that showed a version first; undefined if none did. */
  ofVersion(document: SeenDocument): ReferenceEvent | undefined {
    const index = this.#versions.get(versionName(document));
    return index === undefined ? undefined : this.events[index];
  }

  /** The places of what a request asks for, in their order. */
  matching(request: WatchRequest): readonly number[] {
    let matching = this.#matching.get(request);
    if (matching === undefined) {
      matching = this.events
        .filter(({ event }) => selects(request, event.document) && wants(request, event.type))
        .map(({ index }) => index);
      this.#matching.set(request, matching);
    }
    return matching;
  }

  /** The first place from `from` on of what a request asks for; the number of all events if there is none. */
  next(request: WatchRequest, from: number): number {
    return this.matching(request).find((index) => index >= from) ?? this.events.length;
  }

  /** The places of the events of a stream, those of its snapshot left out; undefined for one that never was. */
  received(stream: Stream): readonly (number | undefined)[] {
    let received = this.#received.get(stream);
    if (received === undefined) {
      let last = -1;
      received = liveEvents(stream).map((event) => {
        const places = this.#indexes.get(eventName(event)) ?? [];
        // Removals of one key in one millisecond have one name; otherwise there is one place.
        const index = places.find((place) => place > last) ?? places[0];
        last = Math.max(last, index ?? -1);
        return index;
      });
      this.#received.set(stream, received);
    }
    return received;
  }

  /** The last place of a stream's first messages; undefined if they have no events. */
  lastBefore(stream: Stream, messages: number): number | undefined {
    const count = stream.messages
      .slice(0, messages)
      .reduce((sum, { kind, events }) => sum + (kind === "events" ? events.length : 0), 0);
    const places = this.received(stream)
      .slice(0, count)
      .filter((index) => index !== undefined);
    return places.length === 0 ? undefined : Math.max(...places);
  }

  /** Where a stream may begin, by its token or by the times of its beginning. Without meaning for snapshots' events. */
  bounds(stream: Stream): Bounds {
    let bounds = this.#bounds.get(stream);
    if (bounds === undefined) {
      bounds = stream.origin === undefined ? this.#freshBounds(stream) : this.#tokenBounds(stream.origin);
      this.#bounds.set(stream, bounds);
    }
    return bounds;
  }

  /** A token stands somewhere from the last event before it on, before the next one that its stream was to get. */
  #tokenBounds({ stream, messages }: TokenOrigin): Bounds {
    const last = this.lastBefore(stream, messages);
    if (last !== undefined) return { least: last + 1, most: this.next(stream.request, last + 1) };
    const { least, most } = stream.request.snapshot ? this.snapshotBounds(stream) : this.bounds(stream);
    const first = this.received(stream).find((index) => index !== undefined) ?? this.events.length;
    return { least, most: Math.max(least, Math.min(first, this.next(stream.request, most))) };
  }

  /** What was answered before the call is not sent; what was called after the first message is. */
  #freshBounds(stream: Stream): Bounds {
    const [started] = stream.messages;
    return this.#between(stream.calledAt, started?.receivedAt ?? Number.POSITIVE_INFINITY);
  }

  /** As bounds, for what the snapshot shows. */
  snapshotBounds(stream: Stream): Bounds {
    const complete = stream.messages.find(({ kind }) => kind === "snapshot-complete");
    return this.#between(stream.calledAt, complete?.receivedAt ?? Number.POSITIVE_INFINITY);
  }

  #between(from: number, to: number): Bounds {
    const before = this.events.findLast(({ put }) => put !== undefined && put.answeredAt < from);
    const after = this.events.find(({ put }) => put !== undefined && put.calledAt > to);
    const least = before === undefined ? 0 : before.index + 1;
    return { least, most: Math.max(least, after?.index ?? this.events.length) };
  }
}

/** A stream's events, those of its snapshot left out. */
export function liveEvents({ messages }: Stream): SeenEvent[] {
  return messages.flatMap(({ kind, events }) => (kind === "events" ? events : []));
}
