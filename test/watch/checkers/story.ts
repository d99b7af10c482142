import { EVERYTHING } from "./everything.js";
import type {
  Allowances,
  EventType,
  LiveDocument,
  Place,
  Put,
  RecordedHistory,
  Removal,
  SeenDocument,
  SeenEvent,
  SeenMessage,
  Stream,
  StreamEnd,
  TokenOrigin,
  WatchRequest,
} from "./history.js";
import { asShown, placeName, State, selects } from "./reference.js";

/** When stories begin, in ms. */
const BEGINNING = 1_000_000;
const INTERVAL_MS = 1000;

/** A watcher of a story: what it received may be changed, so as to see who finds out. */
export class StoryWatcher implements Stream {
  readonly messages: SeenMessage[] = [];
  readonly calledAt: number;
  end: StreamEnd | undefined;
  paused = false;
  readonly #story: Story;
  #place: number;

  constructor(
    story: Story,
    readonly name: string,
    readonly request: WatchRequest,
    readonly origin: TokenOrigin | undefined,
    place: number,
  ) {
    this.#story = story;
    this.#place = place;
    this.calledAt = story.tick();
    this.#receive("started", [], request.snapshot ? "" : this.token);
    if (!request.snapshot) return;
    const shown = story.live().filter((document) => selects(request, document));
    for (const document of shown) this.#receive("snapshot", [this.#existing(document)], "");
    this.#receive("snapshot-complete", [], this.token);
  }

  /** Where it is, as a token. */
  get token(): string {
    return `token ${this.#place}`;
  }

  /** Receives all that happened since in one message. */
  catchUp(): void {
    const news = this.#story.events.slice(this.#place);
    this.#place += news.length;
    const { request } = this;
    const events = news
      .filter(({ document }) => selects(request, document))
      .filter(({ type }) => request.types.length === 0 || request.types.includes(type))
      .map((event) => this.#shown(event));
    if (events.length > 0) this.#receive("events", events, this.token);
  }

  progress(): void {
    this.catchUp();
    this.#receive("progress", [], this.token);
  }

  /** Ends it as the watcher does, or as the server does. */
  finish(status = "cancelled", reason?: string, token = ""): void {
    this.end = { status, reason, token, at: this.#story.tick() };
  }

  /** Changes the events of the messages that have any. */
  doctor(edit: (events: readonly SeenEvent[]) => readonly SeenEvent[]): void {
    for (const [index, message] of this.messages.entries()) {
      if (message.kind !== "events" && message.kind !== "snapshot") continue;
      this.messages[index] = { ...message, events: edit(message.events) };
    }
  }

  #receive(kind: SeenMessage["kind"], events: readonly SeenEvent[], token: string): void {
    const intervalMs = kind === "started" ? INTERVAL_MS : undefined;
    this.messages.push({ kind, events, token, intervalMs, receivedAt: this.#story.tick() });
  }

  #existing(document: LiveDocument): SeenEvent {
    const shown = asShown(document, this.request) ?? document;
    return {
      type: "existing",
      document: shown,
      previous: undefined,
      previousValueOmitted: false,
      commitTime: undefined,
    };
  }

  #shown(event: SeenEvent): SeenEvent {
    const { request } = this;
    return {
      ...event,
      document: asShown(event.document, request) ?? event.document,
      previous: request.includePrevious ? asShown(event.previous, request) : undefined,
    };
  }
}

/** A right history, step by step, to see that checkers find nothing in it, and something once it is changed. */
export class Story {
  readonly events: SeenEvent[] = [];
  readonly puts: Put[] = [];
  readonly removals: Removal[] = [];
  readonly watchers: StoryWatcher[] = [];
  readonly #state = new State();
  readonly #reference: StoryWatcher;
  #now = BEGINNING;
  #etags = 0;

  constructor() {
    this.#reference = this.watch("reference");
  }

  get reference(): StoryWatcher {
    return this.#reference;
  }

  /** Lets time pass; answers the new time. */
  tick(ms = 1): number {
    this.#now += ms;
    return this.#now;
  }

  watch(name: string, request: Partial<WatchRequest> = {}): StoryWatcher {
    const watcher = new StoryWatcher(
      this,
      name,
      { ...EVERYTHING, ...request },
      undefined,
      this.events.length,
    );
    this.watchers.push(watcher);
    return watcher;
  }

  /** Resumes by the last token of a watcher, or by the one of its end. */
  resume(name: string, stream: StoryWatcher, from: TokenOrigin["from"] = "message"): StoryWatcher {
    const origin = { stream, messages: stream.messages.length, from };
    const place = Number(stream.token.split(" ")[1]);
    const watcher = new StoryWatcher(this, name, { ...stream.request, snapshot: false }, origin, place);
    this.watchers.push(watcher);
    return watcher;
  }

  /** Sets a key of the store "s" that is tied to no dataset; answers the put. */
  set(key: string, value: string, ttlMs?: number): Put {
    const place = { datasetId: "", storeName: "s", key };
    const calledAt = this.tick();
    const now = this.tick();
    const found = this.#state.documents.get(placeName(place));
    const isExpired = (found?.version.expiresAt ?? Number.POSITIVE_INFINITY) <= now;
    if (isExpired) this.#happen("expired", place, now);
    const old = isExpired ? undefined : found;
    this.#etags += 1;
    const version = {
      etag: `e${this.#etags}`,
      createdAt: old?.version.createdAt ?? now,
      updatedAt: now,
      expiresAt: ttlMs === undefined ? undefined : now + ttlMs,
      policy: ttlMs === undefined ? ("persist" as const) : ("evict" as const),
    };
    const created = old === undefined;
    this.#happen(created ? "created" : "updated", { ...place, version, value }, now);
    const answeredAt = this.tick();
    const put: Put = { ...place, value, calledAt, answeredAt, outcome: "written", version, created };
    this.puts.push(put);
    return put;
  }

  delete(key: string): void {
    const calledAt = this.tick();
    this.#happen("deleted", { datasetId: "", storeName: "s", key }, this.tick());
    this.removals.push({
      datasetId: "",
      storeName: "s",
      keys: [key],
      calledAt,
      answeredAt: this.tick(),
      count: 1,
      storeDocuments: 0,
    });
  }

  /** Waits until a key expires, and for the removal. */
  expire(key: string, lateMs = 10): void {
    const place = { datasetId: "", storeName: "s", key };
    const expiresAt = this.#state.documents.get(placeName(place))?.version.expiresAt ?? 0;
    this.tick(Math.max(1, expiresAt + lateMs - this.#now));
    this.#happen("expired", place, this.#now);
  }

  live(): LiveDocument[] {
    return [...this.#state.documents.values()]
      .filter(({ version: { expiresAt } }) => expiresAt === undefined || expiresAt > this.#now)
      .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  }

  /** All that happened, with some things as they should not be. */
  history(changes: Partial<RecordedHistory> = {}, allowed: Allowances = {}): RecordedHistory {
    const { puts, removals } = this;
    return {
      puts,
      removals,
      reads: [],
      streams: this.watchers,
      reference: [this.#reference],
      remaining: this.live(),
      endedAt: this.tick(),
      disturbances: [],
      allowed,
      ...changes,
    };
  }

  /** Lets all watchers that are open catch up. */
  catchUp(): void {
    for (const watcher of this.watchers) if (watcher.end === undefined) watcher.catchUp();
  }

  #happen(type: EventType, place: Place | SeenDocument, commitTime: number): void {
    const document = "version" in place ? place : { ...place, version: undefined, value: undefined };
    const event = { type, document, previous: undefined, previousValueOmitted: false, commitTime };
    this.events.push({ ...event, previous: this.#state.apply(event) });
  }
}
