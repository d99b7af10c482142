import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExecutionStoreService } from "execution-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StoreServiceDefinition } from "../../gen/ts/execution_store/v1/execution_store.js";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import type { WatchableEngine } from "../../src/store/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { leavesOut } from "../support/left-out.js";
import { createDatabase, type TestDatabase } from "../support/mongodb/test-database.js";
import { startTestServer, type TestServer } from "../support/test-server.js";
import { CALLS } from "./calls.js";
import { runScenario, stepsOf } from "./runner.js";
import { loadScenarios } from "./scenario.js";

const COLLECTIONS = [DEFAULT_COLLECTION, "other"];
const SCENARIOS = loadScenarios();

function describeScenarios(name: string, open: () => Promise<WatchableEngine>): void {
  describe(name, () => {
    let server: TestServer;
    let service: ExecutionStoreService;

    beforeAll(async () => {
      server = await startTestServer({ engine: await open(), collections: COLLECTIONS });
      service = new ExecutionStoreService({ address: server.address });
    }, 120_000);

    afterAll(async () => {
      await service?.close();
      await server?.close();
    });

    test.each(SCENARIOS)("$name", (scenario) => runScenario(service, scenario), 60_000);
  });
}

describe("with a directory", () => {
  const directory = mkdtempSync(join(tmpdir(), "execution-store-"));
  describeScenarios("on LMDB", () => openLmdbEngine({ path: directory, collections: COLLECTIONS }));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
});

describe.skipIf(leavesOut("mongodb"))("with a MongoDB", () => {
  let database: TestDatabase;
  describeScenarios("on MongoDB", async () => {
    database = await createDatabase();
    return openMongoEngine({ uri: database.uri, collections: COLLECTIONS });
  });
  afterAll(() => database.drop());
});

test("the scenarios call every method, and each with an error", () => {
  const methods = Object.keys(StoreServiceDefinition.methods).map(snakeCase);
  const steps = SCENARIOS.flatMap(stepsOf).map((step) => ({ ...step, method: step.call ?? "watch_keys" }));
  expect(Object.keys(CALLS).toSorted()).toEqual(methods.filter((name) => name !== "watch_keys").toSorted());
  const called = new Set(steps.filter(({ error }) => error === undefined).map(({ method }) => method));
  const refused = new Set(steps.filter(({ error }) => error !== undefined).map(({ method }) => method));
  expect(methods.filter((name) => !called.has(name))).toEqual([]);
  expect(methods.filter((name) => !refused.has(name))).toEqual([]);
});

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
