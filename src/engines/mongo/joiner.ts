/** A call that waits for its turn, or is under way. */
interface Member<Request, Answer> {
  readonly request: Request;
  readonly resolve: (answer: Answer | PromiseLike<Answer>) => void;
  readonly reject: (error: unknown) => void;
}

/** How calls of one kind are joined. */
export interface Joining<Request, Answer> {
  /** Groups under way at once. What comes meanwhile waits, and goes together. */
  readonly lanes: () => number;
  /** The most requests in a group. */
  readonly most: () => number;
  /** The most requests that may wait. */
  readonly mostWaiting: number;
  /** The error for one too many. */
  readonly busy: () => Error;
  /**
   * What a request may not share a group, or the time, with: its like waits until it is answered. Undefined: it may
   * with everything.
   */
  readonly claim?: (request: Request) => string;
  /** Answers each request, in order, by its answer or its error; a rejection counts for all of them. */
  readonly run: (requests: readonly Request[]) => Promise<readonly Settled<Answer>[]>;
}

/** What became of one request of a group; a promise where it goes on by itself. */
export type Settled<Answer> = { readonly answer: Answer | PromiseLike<Answer> } | { readonly error: unknown };

/** How long a group holds its lane, in ms: who waits behind it is not to wait for a slow one. */
const LANE_MS = 50;

/**
 * Lets calls that come at the same moment go to the database together. A call waits only while others are on their
 * way, and not for long, or for the end of the turn of the event loop that brought it; who comes alone goes alone.
 */
export class Joiner<Request, Answer> {
  readonly #joining: Joining<Request, Answer>;
  readonly #waiting = new Set<Member<Request, Answer>>();
  readonly #claimed = new Set<string>();
  #running = 0;
  #scheduled = false;

  constructor(joining: Joining<Request, Answer>) {
    this.#joining = joining;
  }

  /** Answers one request. An abort lets it go: at once if it waits, else its answer is not waited for. */
  join(request: Request, signal: AbortSignal | undefined): Promise<Answer> {
    signal?.throwIfAborted();
    const { mostWaiting, busy } = this.#joining;
    if (this.#waiting.size >= mostWaiting) throw busy();
    return new Promise((resolve, reject) => {
      const member = { request, resolve, reject };
      if (signal !== undefined) {
        const abort = (): void => {
          this.#waiting.delete(member);
          reject(signal.reason);
        };
        const leaving =
          <T>(then: (value: T) => void) =>
          (value: T): void => {
            signal.removeEventListener("abort", abort);
            then(value);
          };
        member.resolve = leaving(resolve);
        member.reject = leaving(reject);
        signal.addEventListener("abort", abort);
      }
      this.#waiting.add(member);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.size === 0 || this.#running >= this.#joining.lanes()) return;
    this.#scheduled = true;
    // Calls that one packet brought are all here by then.
    setImmediate(() => {
      this.#scheduled = false;
      this.#start();
    });
  }

  #start(): void {
    while (this.#running < this.#joining.lanes()) {
      const group = this.#take();
      if (group.length === 0) return;
      void this.#run(group);
    }
  }

  #take(): Member<Request, Answer>[] {
    const { most, claim } = this.#joining;
    const limit = most();
    const group: Member<Request, Answer>[] = [];
    for (const member of this.#waiting) {
      if (group.length >= limit) break;
      if (claim !== undefined) {
        const name = claim(member.request);
        if (this.#claimed.has(name)) continue;
        this.#claimed.add(name);
      }
      this.#waiting.delete(member);
      group.push(member);
    }
    return group;
  }

  async #run(group: readonly Member<Request, Answer>[]): Promise<void> {
    const leave = this.#takeLane();
    try {
      const settled = await this.#joining.run(group.map(({ request }) => request));
      group.forEach((member, index) => this.#settle(member, settled[index]));
    } catch (error) {
      for (const member of group) this.#settle(member, { error });
    } finally {
      leave();
    }
  }

  /** Answers what gives the lane back; the time does so, too. */
  #takeLane(): () => void {
    this.#running += 1;
    let held = true;
    const leave = (): void => {
      if (!held) return;
      held = false;
      clearTimeout(timer);
      this.#running -= 1;
      this.#schedule();
    };
    const timer = setTimeout(leave, LANE_MS);
    return leave;
  }

  #settle(member: Member<Request, Answer>, settled: Settled<Answer> | undefined): void {
    if (settled !== undefined && "answer" in settled) {
      member.resolve(settled.answer);
      if (isPromise(settled.answer)) {
        const release = (): void => this.#release(member.request);
        settled.answer.then(release, release);
        return;
      }
    } else {
      member.reject(settled?.error ?? new Error("a joined call got no answer"));
    }
    this.#release(member.request);
  }

  #release(request: Request): void {
    if (this.#joining.claim === undefined) return;
    this.#claimed.delete(this.#joining.claim(request));
    this.#schedule();
  }
}

function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value;
}
