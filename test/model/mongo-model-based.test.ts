import { MongoClient } from "mongodb";
import { describe, onTestFinished, test } from "vitest";
import { type MongoEngine, openMongoEngine } from "../../src/engines/mongo/engine.js";
import type { Engine } from "../../src/store/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { OTHER_COLLECTION } from "../conformance/world.js";
import { leavesOut } from "../support/left-out.js";
import { moveDatabaseClock } from "../support/mongodb/moved-clock.js";
import { createDatabase } from "../support/mongodb/test-database.js";
import { createRemoteEngine } from "../support/remote-engine.js";
import { startTestServer } from "../support/test-server.js";
import { expectHistoriesLikeModel, HISTORIES_LIMIT_MS, type Subject } from "./histories.js";

const COLLECTIONS = [DEFAULT_COLLECTION, OTHER_COLLECTION];
/** Longer than a history takes. */
const UNIT_MS = 300_000;

/** An engine as callers have it, and what is behind it. */
interface Opened {
  readonly engine: Engine;
  readonly inner: MongoEngine;
  close(): Promise<void>;
}

async function inProcess(uri: string): Promise<Opened> {
  const engine = await openMongoEngine({ uri, collections: COLLECTIONS });
  return { engine, inner: engine, close: () => engine.close() };
}

async function throughTheWire(uri: string): Promise<Opened> {
  const inner = await openMongoEngine({ uri, collections: COLLECTIONS });
  const server = await startTestServer({ engine: inner, collections: COLLECTIONS });
  const engine = createRemoteEngine({ address: server.address });
  return {
    engine,
    inner,
    close: async () => {
      await engine.close();
      await server.close();
    },
  };
}

async function openSubject(open: (uri: string) => Promise<Opened>): Promise<Subject> {
  moveDatabaseClock(0);
  const database = await createDatabase();
  const origin = await timeOf(database.uri);
  let opened = await open(database.uri);
  return {
    get engine() {
      return opened.engine;
    },
    origin,
    move: moveDatabaseClock,
    sweep: () => opened.inner.sweep(),
    reopen: async () => {
      await opened.close();
      opened = await open(database.uri);
    },
    close: async () => {
      await opened.close();
      await database.drop();
    },
  };
}

async function timeOf(uri: string): Promise<number> {
  await using client = new MongoClient(uri);
  return ((await client.db("admin").command({ hello: 1 }))["localTime"] as Date).getTime();
}

describe.skipIf(leavesOut("mongodb"))("random histories on MongoDB", () => {
  for (const [place, open] of [
    ["in process", inProcess],
    ["through the wire", throughTheWire],
  ] as const) {
    test(`answer what the model answers, ${place}`, { timeout: HISTORIES_LIMIT_MS }, async () => {
      onTestFinished(() => moveDatabaseClock(0));
      await expectHistoriesLikeModel({ open: () => openSubject(open), unitMs: UNIT_MS, ticks: true });
    });
  }
});
