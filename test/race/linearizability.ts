/** A call of a history, with times of one clock that never goes back. */
export interface TimedCall {
  /** When it was made. */
  readonly called: number;
  /** When it was answered; Infinity: it never was, so that it may have happened at any time since, or never. */
  readonly returned: number;
}

/** What one object promises to callers that come one after another. */
export interface SequentialModel<Call, State> {
  readonly initial: State;
  /**
   * The states that may follow when a call happens in a state, given its result; none if the result is impossible
   * there. Several where the result does not tell.
   */
  readonly step: (state: State, call: Call) => readonly State[];
  /** Whether a call with its result changes nothing, in whatever state: it may then happen as soon as it can. */
  readonly isIdle: (call: Call) => boolean;
  /** The same text for the same state. */
  readonly describe: (state: State) => string;
}

/** What a check found. */
export type Verdict<Call> =
  | { readonly linearizable: true }
  | {
      readonly linearizable: false;
      /** The longest order that the results allow. */
      readonly longest: readonly Call[];
      /** Calls of which none can be the next, though one must. */
      readonly stuck: readonly Call[];
    };

/** A call or its return, in a list that calls are taken out of and put back into. */
interface Entry<Call> {
  readonly call: Call;
  readonly index: number;
  /** Of the call: its return's entry, if it has returned. */
  readonly match: Entry<Call> | undefined;
  readonly isCall: boolean;
  previous: Entry<Call> | undefined;
  next: Entry<Call> | undefined;
}

/** How many steps a check may take, for which it needs memory. */
const MOST_TRIED = 1_000_000;

/**
 * Whether the calls can have happened one after another, each between its call and its return: the search of Wing
 * and Gong, with Lowe's memory of what was tried. Throws if the search takes too long to say.
 */
export function checkLinearizable<Call extends TimedCall, State>(
  history: readonly Call[],
  model: SequentialModel<Call, State>,
): Verdict<Call> {
  return new Search(history, model).run();
}

/** The calls that happened already, as bits. */
class CallSet {
  readonly #words: Uint32Array;

  constructor(size: number) {
    this.#words = new Uint32Array(Math.ceil(size / 32));
  }

  flip(index: number): void {
    const word = index >>> 5;
    this.#words[word] = (this.#words[word] ?? 0) ^ (1 << (index & 31));
  }

  text(): string {
    return Buffer.from(this.#words.buffer).toString("latin1");
  }
}

/** A point of the search: what happened last, and what may happen next. */
interface Point<Call, State> {
  readonly entry: Entry<Call> | undefined;
  /** What was possible before it happened. */
  readonly before: readonly State[];
  readonly candidates: readonly Entry<Call>[];
  tried: number;
}

class Search<Call extends TimedCall, State> {
  readonly #model: SequentialModel<Call, State>;
  readonly #head: Entry<Call>;
  readonly #done: CallSet;
  readonly #tried = new Set<string>();
  readonly #points: Point<Call, State>[] = [];
  #states: readonly State[];
  #longest: readonly Call[] = [];
  #stuck: readonly Call[] = [];

  constructor(history: readonly Call[], model: SequentialModel<Call, State>) {
    this.#model = model;
    this.#head = entriesOf(history);
    this.#done = new CallSet(history.length);
    this.#states = [model.initial];
  }

  run(): Verdict<Call> {
    this.#goOn(undefined, this.#states);
    for (;;) {
      // What is left has no return, and need not have happened.
      if (!this.#mustGoOn()) return { linearizable: true };
      const point = this.#points.at(-1);
      if (point === undefined) return { linearizable: false, longest: this.#longest, stuck: this.#stuck };
      const entry = point.candidates[point.tried];
      point.tried += 1;
      if (entry === undefined) this.#goBack(point);
      else this.#take(entry);
    }
  }

  #mustGoOn(): boolean {
    for (let entry = this.#head.next; entry !== undefined; entry = entry.next) {
      if (entry.match !== undefined || !entry.isCall) return true;
    }
    return false;
  }

  /** Calls that were made before the next return: those without an answer last, since they need not happen. */
  #callable(): Entry<Call>[] {
    const answered: Entry<Call>[] = [];
    const unanswered: Entry<Call>[] = [];
    for (let entry = this.#head.next; entry?.isCall === true; entry = entry.next) {
      (entry.match === undefined ? unanswered : answered).push(entry);
    }
    return [...answered, ...unanswered];
  }

  /** Calls to try next; one alone if it changes nothing, since it may as well happen at once. */
  #candidates(): readonly Entry<Call>[] {
    const callable = this.#callable();
    const now = this.#nameOf(this.#states);
    const idle = callable.find(
      ({ call, match }) =>
        match !== undefined && this.#model.isIdle(call) && this.#nameOf(this.#after(call)) === now,
    );
    return idle === undefined ? callable : [idle];
  }

  #after(call: Call): readonly State[] {
    const next = new Map<string, State>();
    for (const state of this.#states) {
      for (const after of this.#model.step(state, call)) next.set(this.#model.describe(after), after);
    }
    return [...next.values()];
  }

  #nameOf(states: readonly State[]): string {
    return states.map(this.#model.describe).toSorted().join("\n");
  }

  #goOn(entry: Entry<Call> | undefined, before: readonly State[]): void {
    this.#points.push({ entry, before, candidates: this.#candidates(), tried: 0 });
  }

  /** Lets a call happen now, unless its result forbids it, or that was tried. */
  #take(entry: Entry<Call>): void {
    const next = this.#after(entry.call);
    if (next.length === 0) return;
    const states = this.#nameOf(next);
    // One without an answer that changes nothing now may do so later.
    if (entry.match === undefined && states === this.#nameOf(this.#states)) return;
    this.#done.flip(entry.index);
    const name = `${states}\n${this.#done.text()}`;
    if (this.#tried.has(name)) {
      this.#done.flip(entry.index);
      return;
    }
    if (this.#tried.size === MOST_TRIED) {
      throw new Error(`no verdict about the history after ${MOST_TRIED} steps; check a shorter one`);
    }
    this.#tried.add(name);
    const before = this.#states;
    this.#states = next;
    takeOut(entry);
    this.#goOn(entry, before);
  }

  #goBack({ entry, before }: Point<Call, State>): void {
    if (this.#points.length > this.#longest.length) this.#note();
    this.#points.pop();
    if (entry === undefined) return;
    this.#states = before;
    this.#done.flip(entry.index);
    putBack(entry);
  }

  #note(): void {
    this.#longest = this.#points.flatMap(({ entry }) => (entry === undefined ? [] : [entry.call]));
    this.#stuck = this.#callable().map(({ call }) => call);
  }
}

/** The calls and returns in the order of their times; of equal times, calls come first: they may have overlapped. */
function entriesOf<Call extends TimedCall>(history: readonly Call[]): Entry<Call> {
  const timed = history.flatMap((call, index) => {
    const none = { previous: undefined, next: undefined };
    const end: Entry<Call> | undefined =
      call.returned === Number.POSITIVE_INFINITY
        ? undefined
        : { call, index, match: undefined, isCall: false, ...none };
    const start: Entry<Call> = { call, index, match: end, isCall: true, ...none };
    const first = { at: call.called, entry: start };
    return end === undefined ? [first] : [first, { at: call.returned, entry: end }];
  });
  timed.sort((a, b) => a.at - b.at || Number(b.entry.isCall) - Number(a.entry.isCall));
  const [one] = history;
  if (one === undefined) throw new Error("a history has at least one call");
  const head: Entry<Call> = {
    call: one,
    index: -1,
    match: undefined,
    isCall: false,
    previous: undefined,
    next: undefined,
  };
  let last = head;
  for (const { entry } of timed) {
    entry.previous = last;
    last.next = entry;
    last = entry;
  }
  return head;
}

function unlink<Call>(entry: Entry<Call>): void {
  if (entry.previous !== undefined) entry.previous.next = entry.next;
  if (entry.next !== undefined) entry.next.previous = entry.previous;
}

function relink<Call>(entry: Entry<Call>): void {
  if (entry.previous !== undefined) entry.previous.next = entry;
  if (entry.next !== undefined) entry.next.previous = entry;
}

function takeOut<Call>(entry: Entry<Call>): void {
  unlink(entry);
  if (entry.match !== undefined) unlink(entry.match);
}

/** The reverse of takeOut, in the reverse order. */
function putBack<Call>(entry: Entry<Call>): void {
  if (entry.match !== undefined) relink(entry.match);
  relink(entry);
}
