import { MongoClient } from "mongodb";
import { describe, expect, it, onTestFinished } from "vitest";
import { Reigns } from "../../../src/engines/mongo/reigns.js";
import { TopologyWatch } from "../../../src/engines/mongo/topology-watch.js";
import { leavesOut } from "../../support/left-out.js";
import { testDatabase } from "../../support/mongodb/test-database.js";
import { until } from "../../support/until.js";

describe.skipIf(leavesOut("mongodb"))("a primary", () => {
  it("that does not confirm itself is not asked any more once the connection is closed", async () => {
    const client = new MongoClient((await testDatabase()).uri);
    onTestFinished(() => client.close());
    const watch = new TopologyWatch(client);
    await client.connect();
    let asked = 0;
    const reigns = new Reigns(watch, async () => {
      asked += 1;
      throw new Error("it does not know");
    });
    const confirmation = reigns.confirmation();
    const failed = expect(confirmation).rejects.toThrow();
    await until(() => asked > 1, "it was asked again");
    reigns.close();
    const before = performance.now();
    await failed;
    expect(performance.now() - before).toBeLessThan(1_000);
    const askedAtClose = asked;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(asked).toBe(askedAtClose);
  });
});
