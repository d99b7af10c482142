import { describe, expect, test } from "vitest";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { isStoreError } from "../../src/store/errors.js";
import { toValueBson } from "../../src/value/plain.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet, startStandalone } from "../support/mongodb/replica-set.js";

const scope = { collection: "execution_store", datasetId: "" };
const write = { value: toValueBson(1), ttlMs: undefined, policy: "persist" as const };

describe.skipIf(leavesOut("mongodb"))("closing after MongoDB was killed", () => {
  test.each([
    ["a standalone", false],
    ["a replica set", true],
  ])("ends, and so does what runs on %s", { timeout: 60_000 }, async (_name, isSet) => {
    await using database = isSet ? await startReplicaSet({ members: 1 }) : await startStandalone();
    const engine = await openMongoEngine({ uri: database.uri, collections: [scope.collection] });
    await engine.setKey(scope, "s", "k", write);
    const member = "members" in database ? database.members[0] : database;
    await member?.kill("SIGKILL");
    const sweep = engine.sweep().catch((error: unknown) => error);
    const call = engine.setKey(scope, "s", "k", write).catch((error: unknown) => error);
    const began = performance.now();
    await engine.close();
    // Less than the driver's own patience with a server that is gone.
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(isStoreError(await call, "UNAVAILABLE")).toBe(true);
    expect(isStoreError(await sweep, "UNAVAILABLE")).toBe(true);
  });
});
