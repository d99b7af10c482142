import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { MongoClient } from "mongodb";
import { databaseUri } from "./database-uri.js";
import type { FoundMongodb } from "./find-mongodb.js";
import { messageOf } from "./mongod-binary.js";

/** Hands out databases over HTTP to the processes that run test files. */
export interface Broker {
  /** POST answers a database to work with as JSON; DELETE of `/NAME` drops it. */
  readonly url: string;
  /** Drops what is left, and ends the MongoDB. */
  close(): Promise<void>;
}

/** What a POST to the broker answers: a database, or why there is none. */
export type Answer = { readonly name: string; readonly uri: string } | { readonly error: string };

/** Opens a broker; `find` is called when the first database is asked for, so that other tests need not wait for it. */
export async function openBroker(find: () => Promise<FoundMongodb>): Promise<Broker> {
  const databases = new Databases(find);
  const server = createServer((request, response) => void answer(databases, request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await databases.close();
    },
  };
}

async function answer(
  databases: Databases,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader("content-type", "application/json");
  try {
    if (request.method === "DELETE") {
      databases.drop(String(request.url).slice(1));
      response.end("{}");
    } else response.end(JSON.stringify((await databases.create()) satisfies Answer));
  } catch (error) {
    response.end(JSON.stringify({ error: messageOf(error) } satisfies Answer));
  }
}

class Databases {
  readonly #find: () => Promise<FoundMongodb>;
  #found: Promise<FoundMongodb> | undefined;
  #client: MongoClient | undefined;
  readonly #names = new Set<string>();
  #dropping: Promise<unknown> = Promise.resolve();

  constructor(find: () => Promise<FoundMongodb>) {
    this.#find = find;
  }

  async create(): Promise<Answer> {
    this.#found ??= this.#find();
    const { uri } = await this.#found;
    const name = `execution_store_test_${randomBytes(8).toString("hex")}`;
    this.#names.add(name);
    return { name, uri: databaseUri(uri, name) };
  }

  /** Drops in the background, one after the other: a test need not wait for it. */
  drop(name: string): void {
    if (!this.#names.delete(name)) return;
    const before = this.#dropping;
    this.#dropping = this.#dropNext(before, name);
    this.#dropping.catch(() => {});
  }

  async #dropNext(before: Promise<unknown>, name: string): Promise<void> {
    await before;
    const found = await this.#found;
    if (found === undefined) return;
    this.#client ??= new MongoClient(found.uri);
    await this.#client.db(name).dropDatabase();
  }

  async close(): Promise<void> {
    const found = await this.#found?.catch(() => undefined);
    if (found === undefined) return;
    try {
      if (!found.temporary) {
        for (const name of this.#names) this.drop(name);
        await this.#dropping;
      }
    } finally {
      await this.#client?.close();
      await found.close();
    }
  }
}
