interface Entry<Event> {
  readonly event: Event;
  /** The bytes of the message whose last event this is, else 0. */
  readonly bytes: number;
}

interface Waiting<Event> {
  readonly resolve: (event: Event | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Places of events that were taken, of which so many at least are cleared at a time. */
const CLEARED_AT_ONCE = 64;

/** Events between a connection that brings them and a consumer that takes them, of which neither sets the pace. */
export class EventBuffer<Event> {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  #entries: (Entry<Event> | undefined)[] = [];
  /** How many of the entries were taken: the first ones, which are undefined. */
  #taken = 0;
  #bytes = 0;
  #ended: { readonly error: unknown } | undefined;
  #dropped = false;
  readonly #waiting: Waiting<Event>[] = [];
  #whenRoom: (() => void) | undefined;

  /** The buffer is full as soon as it holds so many events, or the bytes of so many messages. */
  constructor(maxEvents: number, maxBytes: number) {
    this.#maxEvents = maxEvents;
    this.#maxBytes = maxBytes;
  }

  /** Adds the events of one message, also if it is full. A message without events takes no room. */
  add(events: readonly Event[], bytes: number): void {
    if (this.#ended !== undefined || events.length === 0) return;
    this.#bytes += bytes;
    events.forEach((event, index) => {
      this.#entries.push({ event, bytes: index === events.length - 1 ? bytes : 0 });
    });
    this.#serve();
  }

  /** Resolves when the buffer is not full, or has ended. */
  async room(): Promise<void> {
    while (this.#isFull()) {
      await new Promise<void>((resolve) => {
        this.#whenRoom = resolve;
      });
    }
  }

  /** Resolves to the next event; at the end to undefined, or, once, rejects with its error. */
  take(): Promise<Event | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#serve();
    });
  }

  /** Adds no more: what is there may still be taken, then comes the end. Only the first end counts. */
  end(error?: unknown): void {
    this.#ended ??= { error };
    this.#serve();
  }

  /** Ends at once: what is there is dropped. Only the first time counts. */
  drop(error?: unknown): void {
    if (this.#dropped) return;
    this.#dropped = true;
    this.#entries = [];
    this.#taken = 0;
    this.#bytes = 0;
    this.#ended = { error };
    this.#serve();
  }

  #isFull(): boolean {
    const events = this.#entries.length - this.#taken;
    return this.#ended === undefined && (events >= this.#maxEvents || this.#bytes >= this.#maxBytes);
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      const entry = this.#entries[this.#taken];
      if (entry !== undefined) {
        this.#waiting.shift()?.resolve(this.#take(entry));
      } else if (this.#ended !== undefined) {
        const { error } = this.#ended;
        this.#ended = { error: undefined };
        if (error === undefined) this.#waiting.shift()?.resolve(undefined);
        else this.#waiting.shift()?.reject(error);
      } else break;
    }
    if (this.#isFull()) return;
    this.#whenRoom?.();
    this.#whenRoom = undefined;
  }

  #take({ event, bytes }: Entry<Event>): Event {
    this.#entries[this.#taken] = undefined;
    this.#taken += 1;
    this.#bytes -= bytes;
    // Never one by one, and only where no more are moved than go: however many wait, a take costs the same.
    if (this.#taken >= CLEARED_AT_ONCE && this.#taken * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#taken);
      this.#taken = 0;
    }
    return event;
  }
}
