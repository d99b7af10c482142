/** A method of the engine. */
type Method = (...args: never[]) => Promise<unknown>;

/** Knows the calls that run, so that closing can wait for them. */
export class RunningCalls {
  readonly #running = new Set<Promise<unknown>>();

  /** The same methods; each call counts until it has settled. */
  tracking<Methods extends object>(methods: Methods): Methods {
    const tracked = Object.entries(methods).map(([name, method]) => {
      const track = (...args: never[]): Promise<unknown> => this.#track((method as Method)(...args));
      return [name, track] as const;
    });
    return Object.fromEntries(tracked) as Methods;
  }

  /** Resolves when those that run now have settled, however they did. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  #track(call: Promise<unknown>): Promise<unknown> {
    this.#running.add(call);
    const end = (): void => void this.#running.delete(call);
    call.then(end, end);
    return call;
  }
}
