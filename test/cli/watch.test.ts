import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { cutToWidth } from "../../src/cli/table.js";
import { ExecutionStore } from "../../src/client/execution-store.js";
import { historyLost, StoreError } from "../../src/store/errors.js";
import { freePort } from "../support/free-port.js";
import { startScriptedWatches } from "../support/scripted-watch.js";
import { tempDir } from "../support/temp-dir.js";
import { until } from "../support/until.js";
import * as say from "../support/watch-messages.js";
import { buildBeforeTests, runCli, spawnCli, startServer } from "./cli-process.js";

buildBeforeTests();

const LIMIT_MS = 60_000;

/** A watch in its own process. */
function startWatch(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawnCli(["watch", ...args], { env });
  child.stdin.end();
  const output = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output.out += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    output.err += chunk;
  });
  const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  return {
    child,
    ended,
    output,
    /** Resolves to the lines on stdout, without the one that is not complete, when there are so many. */
    async lines(count: number): Promise<string[]> {
      await until(() => output.out.split("\n").length > count, `${count} lines come; so far: ${output.out}`);
      return output.out.split("\n").slice(0, -1);
    },
    /** Resolves when stderr has this text. */
    said: (what: string) => until(() => output.err.includes(what), `"${what}" is said`),
  };
}

async function openServer() {
  const folder = tempDir();
  const address = `127.0.0.1:${await freePort()}`;
  const server = await startServer(["--listen", address, "--store", `lmdb:${folder}/store`]);
  const store = ExecutionStore.create("jobs", { address });
  onTestFinished(async () => {
    await store.close();
    server.kill("SIGKILL");
    await server.ended;
  });
  return { folder, server, address, store };
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z {2}/;

test(
  "tells changes in lines for people until Ctrl-C, and goes on by the token that it says",
  async () => {
    const { address, store } = await openServer();
    await store.set("before", 0);
    const watch = startWatch(["jobs", "--snapshot", "--address", address]);
    await watch.lines(1);
    await watch.said("execution-store: watching store jobs at");
    await store.set("progress", { done: 1 });
    await store.set("progress", { done: 2 });
    await store.set("odd\nkey", ["…"]);
    await store.delete("progress");
    await store.setCache("short", true, { ttl: 0.05 });
    const lines = await watch.lines(7);
    for (const line of lines) expect(line).toMatch(TIME);
    expect(lines.map((line) => line.replace(TIME, ""))).toEqual([
      "existing  before  0",
      'created   progress  {"done":1}',
      'updated   progress  {"done":2}',
      'created   "odd\\nkey"  ["…"]',
      "deleted   progress",
      "created   short  true",
      "expired   short",
    ]);
    watch.child.kill("SIGINT");
    expect(await watch.ended).toEqual([130, null]);
    const [, token = ""] = /go on later with --since (\S+)\n$/.exec(watch.output.err) ?? [];
    await store.set("later", 1);
    const next = startWatch(["jobs", "--since", token, "--address", address]);
    expect(await next.lines(1)).toEqual([expect.stringMatching(/ created {3}later {2}1$/)]);
    next.child.kill("SIGTERM");
    expect(await next.ended).toEqual([143, null]);
  },
  LIMIT_MS,
);

test(
  "tells every event in JSON, with the token to go on with",
  async () => {
    const { address, store } = await openServer();
    await store.set("a", 1);
    const watch = startWatch(["jobs", "--json", "--snapshot", "--address", address]);
    await watch.lines(3);
    await store.set("b", { deep: [1.5, new Date(0)] });
    await store.delete("a");
    const events = (await watch.lines(5)).map((line) => JSON.parse(line) as Record<string, unknown>);
    const token = expect.stringMatching(/^\S+$/);
    expect(events).toEqual([
      { type: "started", progress_interval_ms: 10_000, resume_token: null },
      expect.objectContaining({
        type: "existing",
        store_name: "jobs",
        key: "a",
        value: 1,
        resume_token: null,
      }),
      { type: "snapshot_complete", resume_token: token },
      {
        type: "created",
        store_name: "jobs",
        key: "b",
        dataset_id: null,
        policy: "persist",
        created_at: expect.any(String),
        updated_at: expect.any(String),
        expires_at: null,
        etag: expect.any(String),
        commit_time: expect.any(String),
        document_looked_up: false,
        resume_token: token,
        value: { deep: [1.5, { $date: "1970-01-01T00:00:00Z" }] },
      },
      {
        type: "deleted",
        store_name: "jobs",
        key: "a",
        dataset_id: null,
        commit_time: expect.any(String),
        resume_token: token,
      },
    ]);
    expect(watch.output.err).toBe("");
    watch.child.kill("SIGINT");
    expect(await watch.ended).toEqual([130, null]);
  },
  LIMIT_MS,
);

test(
  "watches one key, a prefix, every store, or every context",
  async () => {
    const { address, store } = await openServer();
    const dataset = "65f0c1d2e3a4b5c6d7e8f901";
    const watches = [
      startWatch(["jobs", "--key", "report-1", "--address", address]),
      startWatch(["jobs", "--prefix", "report-", "--address", address]),
      startWatch(["--address", address]),
      startWatch(["--all-contexts", "--address", address]),
    ] as const;
    for (const watch of watches) await watch.said("Ctrl-C ends it");
    await store.service.withContext({ datasetId: dataset }).setKey("jobs", "else", 1);
    await store.service.setKey("other", "x", 1);
    await store.set("report-2", 2);
    await store.set("report-1", 1);
    const told = async (index: 0 | 1 | 2 | 3, count: number): Promise<string[]> => {
      const lines = await watches[index].lines(count);
      return lines.map((line) => line.replace(TIME, ""));
    };
    expect(await told(0, 1)).toEqual(["created   report-1  1"]);
    expect(await told(1, 2)).toEqual(["created   report-2  2", "created   report-1  1"]);
    expect(await told(2, 3)).toEqual([
      "created   other  x  1",
      "created   jobs  report-2  2",
      "created   jobs  report-1  1",
    ]);
    expect(await told(3, 4)).toEqual([
      `created   ${dataset}  jobs  else  1`,
      "created   -  other  x  1",
      "created   -  jobs  report-2  2",
      "created   -  jobs  report-1  1",
    ]);
  },
  LIMIT_MS,
);

test(
  "goes on behind the last event when the server is killed and started again",
  async () => {
    const { folder, server, address, store } = await openServer();
    const watch = startWatch(["jobs", "--address", address]);
    await watch.said("Ctrl-C ends it");
    await store.set("a", 1);
    await watch.lines(1);
    server.kill("SIGKILL");
    await server.ended;
    await watch.said("trying again");
    const again = await startServer(["--listen", address, "--store", `lmdb:${folder}/store`]);
    onTestFinished(async () => {
      again.kill("SIGKILL");
      await again.ended;
    });
    await store.set("a", 2);
    const lines = await watch.lines(2);
    expect(lines.map((line) => line.replace(TIME, ""))).toEqual(["created   a  1", "updated   a  2"]);
  },
  LIMIT_MS,
);

test.each([
  [["jobs", "--key", "a", "--prefix", "b"], "--key and --prefix exclude each other"],
  [["jobs", "--snapshot", "--since", "t"], "--snapshot and --since exclude each other"],
  [["--all-contexts", "--dataset", "65f0c1d2e3a4b5c6d7e8f901"], "--all-contexts and --dataset exclude"],
  [["jobs", "--since", ""], "--since is empty"],
  [["jobs", "--since", "a", "--since", "b"], "--since is given more than once"],
])("refuses %o with exit code 2", async (args, problem) => {
  const { code, stdout, stderr } = await runCli(["watch", ...args]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(problem);
});

test("says at once that no server is there", async () => {
  const gone = await startScriptedWatches();
  gone.close();
  const { code, stderr } = await runCli(["watch", "jobs", "--address", gone.address]);
  expect(code).toBe(4);
  expect(stderr).toMatch(/cannot be reached/);
});

test("says what to do where history is lost, and goes on with a snapshot if it began with one", async () => {
  const server = await startScriptedWatches();
  onTestFinished(() => server.close());
  const since = startWatch(["jobs", "--since", "old", "--address", server.address]);
  (await server.call(0)).end(historyLost("it is over"));
  expect(await since.ended).toEqual([1, null]);
  expect(since.output.err).toMatch(/it is over.*\n.*give --snapshot, not --since\n$/);

  const watch = startWatch(["jobs", "--snapshot", "--json", "--address", server.address]);
  const call = await server.call(1);
  await call.send(say.started());
  await call.send(say.complete("t1"));
  await watch.lines(2);
  call.end(historyLost("it is over"));
  const after = await server.call(2);
  await after.send(say.started());
  await after.send(say.complete("t2"));
  const types = (await watch.lines(5)).map((line) => (JSON.parse(line) as { type: string }).type);
  expect(types).toEqual(["started", "snapshot_complete", "reset", "started", "snapshot_complete"]);
  after.end(new StoreError("COLLECTION_NOT_ALLOWED", "no longer"));
  expect(await watch.ended).toEqual([1, null]);
});

test("ends quietly when nobody reads any more", async () => {
  const server = await startScriptedWatches();
  onTestFinished(() => server.close());
  const watch = startWatch(["jobs", "--json", "--address", server.address]);
  const call = await server.call(0);
  await call.send(say.started("t0"));
  await watch.lines(1);
  watch.child.stdout.destroy();
  await call.send(say.progress("t1"));
  const [code] = (await once(watch.child, "exit")) as [number];
  expect({ code, err: watch.output.err }).toEqual({ code: 0, err: "" });
});

test.each([
  ["abcdef", 6, "abcdef"],
  ["abcdef", 5, "abcd…"],
  ["日本語", 6, "日本語"],
  ["日本語", 5, "日本…"],
  ["日本語", 4, "日…"],
  ["e\u0301e\u0301e\u0301", 2, "e\u0301…"],
  ["", 3, ""],
])("a line %o is cut to %i columns", (line, columns, expected) => {
  expect(cutToWidth(line, columns)).toBe(expected);
});
