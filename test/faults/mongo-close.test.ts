import { describe, expect, onTestFinished, test } from "vitest";
import type { MongoEvent } from "../../src/engines/mongo/connection.js";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { isStoreError } from "../../src/store/errors.js";
import { toValueBson } from "../../src/value/plain.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet, startStandalone } from "../support/mongodb/replica-set.js";
import { startTcpRelay } from "../support/tcp-relay.js";
import { until } from "../support/until.js";

const scope = { collection: "execution_store", datasetId: "" };
const write = { value: toValueBson(1), ttlMs: undefined, policy: "persist" as const };

describe.skipIf(leavesOut("mongodb"))("closing after MongoDB was killed", () => {
  test.each([
    ["a standalone", false, false],
    ["a standalone that is known to be gone", false, true],
    ["a replica set", true, false],
    ["a replica set that is known to be gone", true, true],
  ])("ends, and so does what runs on %s", { timeout: 60_000 }, async (_name, isSet, isKnown) => {
    await using database = isSet ? await startReplicaSet({ members: 1 }) : await startStandalone();
    const events: MongoEvent[] = [];
    const engine = await openMongoEngine({
      uri: database.uri,
      collections: [scope.collection],
      onEvent: (event) => events.push(event),
    });
    await engine.setKey(scope, "s", "k", write);
    const member = "members" in database ? database.members[0] : database;
    await member?.kill("SIGKILL");
    if (isKnown)
      await until(() => events.some((event) => "serving" in event && !event.serving), "the loss is noticed");
    const sweep = engine.sweep().catch(() => undefined);
    const call = engine.setKey(scope, "s", "k", write).catch((error: unknown) => error);
    const began = performance.now();
    await engine.close();
    // Less than the driver's own patience with a server that is gone.
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(isStoreError(await call, "UNAVAILABLE")).toBe(true);
    await sweep;
  });

  test("ends, and so does a write, when the network to MongoDB is silent", { timeout: 60_000 }, async () => {
    await using database = await startStandalone();
    const relay = await startTcpRelay(Number(database.host.split(":")[1]));
    onTestFinished(() => relay.close());
    const uri = `mongodb://127.0.0.1:${relay.port}/?directConnection=true`;
    const engine = await openMongoEngine({ uri, collections: [scope.collection] });
    await engine.setKey(scope, "s", "k", write);
    relay.freeze();
    const call = engine.setKey(scope, "s", "k", write).catch((error: unknown) => error);
    const began = performance.now();
    await engine.close();
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(await call).toMatchObject({ kind: "UNAVAILABLE", outcome: "UNKNOWN" });
  });
});
