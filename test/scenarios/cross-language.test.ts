import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExecutionStoreService, RawValue } from "execution-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ValueEncoding } from "../../gen/ts/execution_store/v1/execution_store.js";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import type { WatchableEngine } from "../../src/store/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { decodeJson, type Json as WireJson } from "../grpc/json-value.js";
import { createWireClient } from "../grpc/wire-client.js";
import { leavesOut } from "../support/left-out.js";
import { createDatabase, type TestDatabase } from "../support/mongodb/test-database.js";
import { startTestServer, type TestServer } from "../support/test-server.js";
import { type CrossClients, prepareClients } from "./cross-clients.js";
import { CROSS_VALUES, type CrossValue, type Read, type Written } from "./cross-values.js";
import { sameValue } from "./neutral.js";
import type { Json } from "./scenario.js";
import { type ClientTypes, typesTable, withTable } from "./types-table.js";

/** The page that shows the table, and whether to write it anew. */
const PAGE = "README.md";
const WRITE = process.env["EXECUTION_STORE_WRITE_TYPES"] === "1";

/** The store with every value. */
const ALL = "all";

const SETUP_LIMIT_MS = 600_000;
const COLLECTIONS = [DEFAULT_COLLECTION];

/** What became of it: by the writer's id, and of reads by the reader's first. */
interface Exchange {
  readonly server: TestServer;
  readonly written: ReadonlyMap<string, Written>;
  readonly read: ReadonlyMap<string, Readonly<Record<string, Read>>>;
}

let prepared: CrossClients;

beforeAll(async () => {
  prepared = await prepareClients(process.env);
}, SETUP_LIMIT_MS);

afterAll(() => prepared?.close());

/** Lets every client write its values, and then read everybody's. */
async function exchange(engine: WatchableEngine): Promise<Exchange> {
  const server = await startTestServer({ engine, collections: COLLECTIONS });
  const { clients } = prepared;
  await writeAll(server.address);
  const written = new Map<string, Written>();
  for (const client of clients) written.set(client.id, await client.write(server.address, client.id));
  const read = new Map<string, Readonly<Record<string, Read>>>();
  const names = [ALL, ...clients.map(({ id }) => id)];
  for (const client of clients) read.set(client.id, await client.read(server.address, names));
  return { server, written, read };
}

/** Writes every value as its bytes, also those that a client has no type for. */
async function writeAll(address: string): Promise<void> {
  await using service = new ExecutionStoreService({ address });
  for (const { name, bson } of CROSS_VALUES) {
    await service.setKey(ALL, name, new RawValue(Buffer.from(bson, "hex")));
  }
}

/** The value of a key, which has a number behind it from a client's second type on. */
function valueOf(key: string): CrossValue {
  const found = CROSS_VALUES.find(({ name }) => name === key.replace(/\/\d+$/, ""));
  if (found === undefined) throw new Error(`values.json has no ${key}`);
  return found;
}

function keysOf(written: Written | undefined): string[] {
  return Object.keys(written ?? {});
}

function describeExchange(
  engineName: string,
  open: () => Promise<WatchableEngine>,
  more: (all: () => Exchange) => void = () => {},
): void {
  describe(engineName, () => {
    let all: Exchange;

    beforeAll(async () => {
      all = await exchange(await open());
    }, SETUP_LIMIT_MS);

    afterAll(() => all?.server.close());

    more(() => all);

    test("every client stores its values as the same bytes", async () => {
      await using service = new ExecutionStoreService({ address: all.server.address });
      for (const { id } of prepared.clients) {
        const stored: Record<string, string> = {};
        for await (const { key, value } of service.listValues(id, { encoding: "raw" })) {
          stored[key] = Buffer.from(value.bytes).toString("hex");
        }
        const expected = keysOf(all.written.get(id)).map((key) => [key, expectedBytes(key, id)]);
        expect(stored, id).toEqual(Object.fromEntries(expected));
      }
    });

    test("every client reads what every client wrote", () => {
      for (const reader of prepared.clients) {
        for (const writer of [ALL, ...prepared.clients.map(({ id }) => id)]) {
          const read = all.read.get(reader.id)?.[writer] ?? {};
          const there =
            writer === ALL ? CROSS_VALUES.map(({ name }) => name) : keysOf(all.written.get(writer));
          expect(Object.keys(read).toSorted()).toEqual(there.toSorted());
          const wrong = Object.entries(read).filter(
            ([key, { value }]) => !sameValue(valueOf(key).value, value),
          );
          expect(wrong, `${reader.id} reads ${writer}`).toEqual([]);
        }
      }
    });

    test("every value has one form as JSON, whoever wrote it", async () => {
      const wire = createWireClient(all.server.address);
      try {
        for (const { id } of prepared.clients) {
          for (const key of keysOf(all.written.get(id))) {
            const request = { storeName: id, key, encoding: ValueEncoding.VALUE_ENCODING_JSON };
            const { document } = await wire.call("getKey", request);
            expect(plain(decodeJson(document?.value)), `${key} of ${id}`).toEqual(valueOf(key).json);
          }
        }
      } finally {
        wire.close();
      }
    });
  });
}

function expectedBytes(key: string, writer: string): string {
  const { bson, otherwise } = valueOf(key);
  return otherwise?.[writer] ?? bson;
}

/** JSON of the wire, whose objects are maps. */
function plain(value: WireJson): Json {
  if (value instanceof Map) {
    return Object.fromEntries(
      Array.from(value as Map<string, WireJson>, ([name, each]) => [name, plain(each)]),
    );
  }
  return Array.isArray(value) ? (value as WireJson[]).map(plain) : (value as Json);
}

describe("with a directory", () => {
  const directory = mkdtempSync(join(tmpdir(), "execution-store-"));
  describeExchange(
    "on LMDB",
    () => openLmdbEngine({ path: directory, collections: COLLECTIONS }),
    (all) => {
      test.skipIf(leavesOut("python") || leavesOut("go"))("the table of types says so", () => {
        const page = readFileSync(PAGE, "utf8");
        const expected = withTable(page, typesTable(clientTypes(all())));
        if (WRITE) writeFileSync(PAGE, expected);
        else expect(page, `${PAGE} is not what the clients do; npm run types writes it anew`).toBe(expected);
      });
    },
  );
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
});

describe.skipIf(leavesOut("mongodb"))("with a MongoDB", () => {
  let database: TestDatabase;
  describeExchange("on MongoDB", async () => {
    database = await createDatabase();
    return openMongoEngine({ uri: database.uri, collections: COLLECTIONS });
  });
  afterAll(() => database.drop());
});

function clientTypes({ written, read }: Exchange): ClientTypes[] {
  return prepared.clients.map(({ id, title }) => ({
    title,
    written: written.get(id) ?? {},
    read: read.get(id)?.[ALL] ?? {},
  }));
}
