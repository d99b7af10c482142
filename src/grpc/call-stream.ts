/** What is done around the messages of a streaming call. */
export interface CallStreamOptions {
  /** Begins; what it throws ends the stream. */
  readonly open: () => AsyncIterable<object>;
  /** Hears, once, of the end: of the error, if there is one, and answers what to throw in its place. */
  readonly end: (thrown: { readonly error: unknown } | undefined) => Error | undefined;
}

/** The messages of a streaming call. No generator: thousands of streams are open at a time, and each layer counts. */
export class CallStream implements AsyncIterableIterator<object> {
  #iterator: AsyncIterator<object> | undefined;
  #ended = false;

  constructor(private readonly options: CallStreamOptions) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<object>> {
    try {
      this.#iterator ??= this.options.open()[Symbol.asyncIterator]();
      const result = await this.#iterator.next();
      if (result.done !== true) return result;
    } catch (error) {
      throw this.#end({ error }) ?? error;
    }
    const failure = this.#end(undefined);
    if (failure !== undefined) throw failure;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<object>> {
    await this.#iterator?.return?.();
    this.#end(undefined);
    return { done: true, value: undefined };
  }

  #end(thrown: { readonly error: unknown } | undefined): Error | undefined {
    if (this.#ended) return undefined;
    this.#ended = true;
    return this.options.end(thrown);
  }
}
