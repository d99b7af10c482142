import { type Collection, type Document, MongoClient } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type MongoEngine, openMongoEngine } from "../../src/engines/mongo/engine.js";
import type { KeyDocument } from "../../src/store/document.js";
import type { Write } from "../../src/store/engine.js";
import { toValueBson } from "../../src/value/plain.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet, type TestReplicaSet } from "../support/mongodb/replica-set.js";

const scope = { collection: "execution_store", datasetId: "" };
const WRITES = ["update", "findAndModify", "delete"];
/** NotWritablePrimary, ShutdownInProgress, PrimarySteppedDown. */
const AWAY_CODES = [10_107, 91, 189];

/** What the server does to a write. */
interface Fault {
  readonly name: string;
  readonly point: "failCommand" | "onPrimaryTransactionalWrite";
  readonly data: Document;
}

const FAULTS: readonly Fault[] = [
  {
    name: "the connection closes before the write",
    point: "failCommand",
    data: { failCommands: WRITES, closeConnection: true },
  },
  {
    name: "the connection closes after the write",
    point: "onPrimaryTransactionalWrite",
    data: { closeConnection: true },
  },
  ...AWAY_CODES.map(
    (errorCode): Fault => ({
      name: `the server answers ${errorCode} and does not write`,
      point: "failCommand",
      data: { failCommands: WRITES, errorCode },
    }),
  ),
  ...AWAY_CODES.map(
    (code): Fault => ({
      name: `the server writes and answers that it lost its majority by ${code}`,
      point: "failCommand",
      data: { failCommands: WRITES, writeConcernError: { code, errmsg: "by the test" } },
    }),
  ),
];

function write(value: unknown, ttlMs?: number): Write {
  return { value: toValueBson(value), ttlMs, policy: "persist" };
}

describe.skipIf(leavesOut("mongodb"))("a write that is sent again", () => {
  let set: TestReplicaSet | undefined;
  let client: MongoClient;
  let documents: Collection;
  let engine: MongoEngine;
  let active: Fault | undefined;

  beforeAll(async () => {
    set = await startReplicaSet({ members: 1, args: ["--setParameter", "enableTestCommands=1"] });
    client = await MongoClient.connect(set.uri);
    documents = client.db("execution_store").collection(scope.collection);
    engine = await openMongoEngine({ uri: set.uri, collections: [scope.collection] });
  }, 60_000);
  afterEach(async () => {
    if (active !== undefined) await mend();
    await documents.deleteMany({});
  });
  afterAll(async () => {
    await engine?.close();
    await client?.close();
    await set?.close();
  });

  /** Answers how often it has happened. */
  async function mend(): Promise<number> {
    const point = active?.point;
    active = undefined;
    const { count } = await client.db("admin").command({ configureFailPoint: point, mode: "off" });
    return Number(count);
  }

  /** Does something while the fault happens so often, and checks that it did. */
  async function during<T>(fault: Fault, times: number, act: () => Promise<T>): Promise<T> {
    active = fault;
    const data = fault.point === "failCommand" ? { ...fault.data, appName: "execution-store" } : fault.data;
    await client.db("admin").command({ configureFailPoint: fault.point, mode: { times }, data });
    const result = await act();
    expect(await mend(), "how often the fault happened").toBeGreaterThanOrEqual(times);
    return result;
  }

  /** The document is there once, and is the version that was answered: a second application would have changed it. */
  async function expectStored(answered: KeyDocument | undefined, value: unknown): Promise<void> {
    const stored = await documents.find({ key: answered?.key }).toArray();
    expect(stored).toMatchObject([
      {
        value,
        created_at: new Date(answered?.createdAt ?? 0),
        updated_at: new Date(answered?.updatedAt ?? 0),
      },
    ]);
    const { value: _, ...metadata } = (await engine.getKey(scope, "s", answered?.key ?? "", true)) ?? {};
    expect(metadata).toEqual(metadataOf(answered));
  }

  describe.each(FAULTS)("because $name", (fault) => {
    test("sets by itself", async () => {
      const first = await during(fault, 1, () => engine.setKey(scope, "s", "k", write({ n: 1 })));
      expect(first.created).toBe(true);
      await expectStored(first.document, { n: 1 });
      const second = await during(fault, 1, () => engine.setKey(scope, "s", "k", write({ n: 2 }, 60_000)));
      expect(second.created).toBe(false);
      expect(second.document.createdAt).toBe(first.document.createdAt);
      await expectStored(second.document, { n: 2 });
      const large = { text: "x".repeat(300_000) };
      const third = await during(fault, 1, () => engine.setKey(scope, "s", "large", write(large)));
      expect(third.created).toBe(true);
      await expectStored(third.document, large);
    });

    test.each([1, 3])("sets together, %i times", async (times) => {
      const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
      const old = keys.slice(0, 10);
      await engine.batchSetKeys(
        scope,
        "s",
        old.map((key) => ({ key, ...write("old") })),
      );
      const results = await during(fault, times, () =>
        Promise.all(keys.map((key) => engine.setKey(scope, "s", key, write({ new: key })))),
      );
      expect(results.map(({ created }) => created)).toEqual(keys.map((key) => !old.includes(key)));
      for (const { document } of results) await expectStored(document, { new: document.key });
    });

    test("sets a batch", async () => {
      const keys = Array.from({ length: 60 }, (_, index) => `k${index}`);
      const entries = keys.map((key) => ({ key, ...write(`batch ${key}`) }));
      const results = await during(fault, 1, () => engine.batchSetKeys(scope, "s", entries));
      expect(results.map(({ created }) => created)).toEqual(keys.map(() => true));
      for (const { document } of results) await expectStored(document, `batch ${document.key}`);
    });

    test("sets if absent, and the winner hears that it won", async () => {
      const won = await during(fault, 1, () => engine.setKeyIfAbsent(scope, "s", "k", write("first")));
      expect(won.set).toBe(true);
      await expectStored(won.document, "first");
      const lost = await engine.setKeyIfAbsent(scope, "s", "k", write("second"));
      expect(lost).toEqual({ set: false, document: metadataOf(won.document) });
    });

    test("compares and sets, and the winner hears that it won", async () => {
      const change = { value: toValueBson("two"), ttlMs: undefined, policy: undefined };
      await engine.setKey(scope, "s", "k", write("one"));
      const byValue = await during(fault, 1, () =>
        engine.compareAndSetKey(scope, "s", "k", { value: toValueBson("one") }, change),
      );
      expect(byValue.set).toBe(true);
      await expectStored(byValue.document, "two");
      const byEtag = await during(fault, 1, () =>
        engine.compareAndSetKey(
          scope,
          "s",
          "k",
          { etag: byValue.document?.etag ?? "" },
          { ...change, value: toValueBson("three") },
        ),
      );
      expect(byEtag.set).toBe(true);
      await expectStored(byEtag.document, "three");
    });

    test("deletes, and says so", async () => {
      await engine.setKey(scope, "s", "k", write("x"));
      expect(await during(fault, 1, () => engine.deleteKey(scope, "s", "k", undefined))).toBe(true);
      expect(await engine.deleteKey(scope, "s", "k", undefined)).toBe(false);
      const { document } = await engine.setKey(scope, "s", "k", write("y"));
      expect(await during(fault, 1, () => engine.deleteKey(scope, "s", "k", document.etag))).toBe(true);
      expect(await documents.countDocuments()).toBe(0);
    });

    test("changes ttl and policy", async () => {
      // What the driver would stumble over, were it in an answer.
      const odd = { _bsontype: "ObjectId", "": 1, list: [{ __proto__: null, $a: 1 }] };
      await engine.setKey(scope, "s", "k", write(odd));
      const brief = await during(fault, 1, () => engine.updateTtl(scope, "s", "k", 60_000));
      expect(Number(brief?.expiresAt)).toBeGreaterThan(Number(brief?.updatedAt));
      expect(metadataOf(await engine.getKey(scope, "s", "k", false))).toEqual(metadataOf(brief));
      const lasting = await during(fault, 1, () => engine.updatePolicy(scope, "s", "k", "persist"));
      expect(lasting?.expiresAt).toBeUndefined();
      expect(metadataOf(await engine.getKey(scope, "s", "k", false))).toEqual(metadataOf(lasting));
    });
  });

  test("a set that goes on alone and fails after its caller left disturbs nobody", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", note);
    onTestFinished(() => void process.off("unhandledRejection", note));
    await engine.setKey(scope, "s", "held", write("old"));
    const session = client.startSession();
    onTestFinished(() => session.endSession());
    session.startTransaction();
    await documents.updateOne({ key: "held" }, { $set: { value: "held" } }, { session });
    const fault: Fault = {
      name: "the server refuses the set that goes alone",
      point: "failCommand",
      data: { failCommands: ["findAndModify"], errorCode: 8 },
    };
    const caller = new AbortController();
    await during(fault, 1, async () => {
      const gone = engine.setKey(scope, "s", "held", write("new"), { signal: caller.signal });
      const neighbour = engine.setKey(scope, "s", "free", write("new"));
      const left = expect(gone).rejects.toThrow("left");
      setImmediate(() => setImmediate(() => caller.abort(new Error("left"))));
      await left;
      expect((await neighbour).created).toBe(true);
      // One after it, of the same key, waits until the one before has ended.
      await session.abortTransaction();
      await expect(engine.setKey(scope, "s", "held", write("later"))).resolves.toBeDefined();
    });
    expect(unhandled).toEqual([]);
  });
});

function metadataOf(document: KeyDocument | undefined): Partial<KeyDocument> {
  const { value: _, ...metadata } = document ?? {};
  return metadata;
}
