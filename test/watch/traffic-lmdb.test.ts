import { test } from "vitest";
import { buildBeforeTests } from "../cli/cli-process.js";
import { tempDir } from "../support/temp-dir.js";
import { until } from "../support/until.js";
import { openLmdb, RestartableServer, startOver } from "./servers.js";
import { USUAL } from "./traffic/coverage.js";
import { judgeRounds, timeLimit } from "./traffic/rounds.js";

/** How often the server is killed. */
const KILLS = 3;

buildBeforeTests();

test("every promise is kept", timeLimit(10_000), async () => {
  await judgeRounds(async () => ({ servers: [(await startOver(await openLmdb())).address] }), USUAL);
});

test("every promise is kept where watchers can hold little", timeLimit(10_000), async () => {
  const limits = { queueBytes: 20_000, queueChanges: 8, totalBytes: 200_000, catchUps: 2 };
  await judgeRounds(async () => {
    const server = await startOver(await openLmdb(), { limits, stallMs: 1000 });
    return {
      servers: [server.address],
      allowed: { slowWatchers: true },
      watchers: 25,
      pauseMs: 4000,
      valueBytes: 50_000,
      restMs: 15,
    };
  }, [...USUAL, "ended RESOURCE_EXHAUSTED", "resumed from an end"]);
});

test("every promise is kept while the server is killed and started again", timeLimit(40_000), async () => {
  await judgeRounds(async () => {
    const server = await RestartableServer.start(`lmdb:${tempDir()}`);
    return {
      servers: [server.address],
      watchers: 20,
      disturb: async (recorder) => {
        for (let kill = 0; kill < KILLS; kill += 1) {
          const before = recorder.puts.length;
          await until(() => recorder.puts.length > before + 100, "writes go on");
          await recorder.disturb(async () => {
            await server.end("SIGKILL");
            await server.restart();
          });
        }
      },
    };
  }, [...USUAL, "put unknown", "ended UNAVAILABLE"]);
});
