/** One page: its items, and the token of the next page, empty after the last. */
export interface FetchedPage<T> {
  readonly items: readonly T[];
  readonly nextPageToken: string;
}

/**
 * A list that is fetched page by page while it is read, and that is never in memory as a whole. What is there
 * throughout the reading comes exactly once; what comes or goes meanwhile may be in it or not. Reading it again
 * starts anew. A failed request rejects with a StoreError.
 *
 * @example
 * for await (const key of service.listKeys("results")) console.log(key);
 * const keys = await service.listKeys("results").toArray();
 */
export class Pager<T> implements AsyncIterable<T> {
  readonly #fetch: (pageToken: string) => Promise<FetchedPage<T>>;

  /** @param fetch fetches the page of a token; the first page has an empty one */
  constructor(fetch: (pageToken: string) => Promise<FetchedPage<T>>) {
    this.#fetch = fetch;
  }

  /**
   * Fetches one page, for those who keep the token themselves, such as a web page with a button "more". A token is
   * good for the same list with the same prefix only. A page may be empty while a token follows.
   *
   * @param pageToken nextPageToken of the page before; empty for the first
   */
  page(pageToken = ""): Promise<FetchedPage<T>> {
    return this.#fetch(pageToken);
  }

  /** Page by page, as the server cuts them; empty pages are left out. */
  async *pages(): AsyncGenerator<readonly T[], void, undefined> {
    let token = "";
    do {
      const page = await this.#fetch(token);
      if (page.items.length > 0) yield page.items;
      token = page.nextPageToken;
    } while (token !== "");
  }

  /** Item by item. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const page of this.pages()) yield* page;
  }

  /** The whole list in memory. */
  async toArray(): Promise<T[]> {
    const items: T[] = [];
    for await (const page of this.pages()) {
      for (const item of page) items.push(item);
    }
    return items;
  }
}
