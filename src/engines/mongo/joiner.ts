/** A call that waits for its turn, or is under way. */
interface Member<Request, Answer> {
  readonly request: Request;
  readonly resolve: (answer: Answer | PromiseLike<Answer>) => void;
  readonly reject: (error: unknown) => void;
}

/** How calls of one kind are joined. */
export interface Joining<Request, Answer> {
  /** Groups under way at once. What comes meanwhile waits, and goes together. */
  readonly lanes: number;
  /** The most requests in a group. */
  readonly most: () => number;
  /** What a request may not share a group, or the time, with: its like waits. Undefined: it may with everything. */
  readonly claim?: (request: Request) => string;
  /** Answers each request, in order, by its answer or its error; a rejection counts for all of them. */
  readonly run: (requests: readonly Request[]) => Promise<readonly Settled<Answer>[]>;
}

/** What became of one request of a group; a promise where it goes on by itself. */
export type Settled<Answer> = { readonly answer: Answer | PromiseLike<Answer> } | { readonly error: unknown };

/**
 * Lets calls that come at the same moment go to the database together. A call waits only while others are on their
 * way, or for the end of the turn of the event loop that brought it; who comes alone goes alone.
 */
export class Joiner<Request, Answer> {
  readonly #joining: Joining<Request, Answer>;
  #waiting: Member<Request, Answer>[] = [];
  readonly #claimed = new Set<string>();
  #running = 0;
  #scheduled = false;

  constructor(joining: Joining<Request, Answer>) {
    this.#joining = joining;
  }

  /** Answers one request. An abort lets it go: at once if it waits, else its answer is not waited for. */
  join(request: Request, signal: AbortSignal | undefined): Promise<Answer> {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const member = { request, resolve, reject };
      if (signal !== undefined) {
        const abort = (): void => {
          const at = this.#waiting.indexOf(member);
          if (at >= 0) this.#waiting.splice(at, 1);
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
      this.#waiting.push(member);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#running >= this.#joining.lanes) return;
    this.#scheduled = true;
    // Calls that one packet brought are all here by then.
    setImmediate(() => {
      this.#scheduled = false;
      this.#start();
    });
  }

  #start(): void {
    while (this.#running < this.#joining.lanes) {
      const group = this.#take();
      if (group.length === 0) return;
      this.#running += 1;
      void this.#run(group);
    }
  }

  #take(): Member<Request, Answer>[] {
    const { most, claim } = this.#joining;
    const limit = most();
    if (claim === undefined) return this.#waiting.splice(0, limit);
    const group: Member<Request, Answer>[] = [];
    const left: Member<Request, Answer>[] = [];
    for (const member of this.#waiting) {
      const name = claim(member.request);
      if (group.length < limit && !this.#claimed.has(name)) {
        this.#claimed.add(name);
        group.push(member);
      } else {
        left.push(member);
      }
    }
    this.#waiting = left;
    return group;
  }

  async #run(group: readonly Member<Request, Answer>[]): Promise<void> {
    const { claim, run } = this.#joining;
    const requests = group.map(({ request }) => request);
    try {
      const settled = await run(requests);
      group.forEach((member, index) => settle(member, settled[index]));
    } catch (error) {
      for (const member of group) member.reject(error);
    } finally {
      if (claim !== undefined) for (const request of requests) this.#claimed.delete(claim(request));
      this.#running -= 1;
      if (this.#waiting.length > 0) this.#schedule();
    }
  }
}

function settle<Request, Answer>(
  member: Member<Request, Answer>,
  settled: Settled<Answer> | undefined,
): void {
  if (settled === undefined) member.reject(new Error("a joined call got no answer"));
  else if ("answer" in settled) member.resolve(settled.answer);
  else member.reject(settled.error);
}
