import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ExecutionStoreService } from "../../src/client/service.js";
import {
  buildBeforeTests,
  type CliOptions,
  firstAddress,
  runCli,
  type ServerProcess,
  spawnCli,
  startServer,
} from "./cli-process.js";

buildBeforeTests();

const DATASET = "65f0c0ffee65f0c0ffee65f0";
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

let folder: string;
let server: ServerProcess;
let service: ExecutionStoreService;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "execution-store-cli-"));
  const listen = ["--listen", "127.0.0.1:0", "--collections", "other"];
  server = await startServer(["--store", `lmdb:${folder}/x`, ...listen]);
  service = new ExecutionStoreService({ address: firstAddress(server) });
}, 60_000);

afterAll(async () => {
  await service.close();
  server.kill("SIGTERM");
  expect((await server.ended).code).toBe(0);
  await rm(folder, { recursive: true, force: true });
});

/** Runs a client command against the server, whose address comes from the environment. */
async function run(args: readonly string[], { env, ...options }: CliOptions = {}) {
  const address = { EXECUTION_STORE_ADDRESS: firstAddress(server) };
  const { code, stdout, stderr } = await runCli(args, { ...options, env: { ...address, ...env } });
  return { code, stdout, stderr };
}

function setIfAbsent(value: string, ...more: string[]) {
  return run(["set", "absent", "k", value, "--if-absent", ...more]);
}

/** The JSON objects of a command's lines. */
async function lines(args: readonly string[]): Promise<unknown[]> {
  const { code, stdout, stderr } = await run([...args, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);
}

const said = (sentence: string) => `execution-store: ${sentence}\n`;

describe.concurrent("client commands", { timeout: 120_000 }, () => {
  it("set and get carry JSON and Extended JSON exactly", async () => {
    const json =
      '{"text":"é\\n","date":{"$date":"2030-01-01T00:00:00Z"},"long":{"$numberLong":"9007199254740993"},' +
      '"zero":-0,"nan":{"$numberDouble":"NaN"},"__proto__":[null,true],"2":1,"1":2}';
    expect(await run(["set", "exact", "k", json])).toEqual({
      code: 0,
      stdout: "",
      stderr: said("created exact/k"),
    });
    const stored = await service.getKey<Record<string, unknown>>("exact", "k");
    expect(stored?.value).toMatchObject({
      date: new Date("2030-01-01"),
      long: 9007199254740993n,
      nan: Number.NaN,
    });
    const [{ stdout: pretty }, { stdout: line }] = await Promise.all([
      run(["get", "exact", "k"]),
      run(["get", "exact", "k", "--json"]),
    ]);
    expect(pretty.replaceAll(/\n */g, "").replaceAll('": ', '":')).toBe(json);
    expect(pretty.split("\n").length).toBeGreaterThan(8);
    expect(line.endsWith(`,"value":${json}}\n`)).toBe(true);
    expect(JSON.parse(line)).toMatchObject({
      store_name: "exact",
      key: "k",
      dataset_id: null,
      policy: "persist",
      created_at: TIME,
      updated_at: TIME,
      expires_at: null,
      etag: stored?.etag,
    });
  });

  it("set reads standard input, replaces, and takes ttl and policy", async () => {
    expect(await run(["set", "input", "k"], { input: ' [1, "ü"]\n' })).toMatchObject({ code: 0 });
    expect((await service.getKey("input", "k"))?.value).toEqual([1, "ü"]);
    expect(await run(["set", "input", "k", "-", "--ttl", "10m"], { input: "2" })).toMatchObject({
      code: 0,
      stderr: said("replaced input/k"),
    });
    const cached = await service.getKey("input", "k");
    expect(cached).toMatchObject({ value: 2, policy: "evict" });
    expect(Number(cached?.expiresAt) - Number(cached?.updatedAt)).toBe(600_000);
    expect(await lines(["set", "input", "k", "-5", "--policy", "evict"])).toEqual([
      expect.objectContaining({ created: false, key: "k", policy: "evict", expires_at: null }),
    ]);
    expect((await service.getKey("input", "k"))?.value).toBe(-5);
  });

  it("set --if-absent exits with 3 where the key is there, and writes nothing", async () => {
    expect(await setIfAbsent("1")).toEqual({ code: 0, stdout: "", stderr: said("created absent/k") });
    expect(await setIfAbsent("2")).toEqual({
      code: 3,
      stdout: "",
      stderr: said("absent/k is there already; nothing was written"),
    });
    const { code, stdout } = await setIfAbsent("3", "--json");
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ set: false, key: "k", etag: expect.any(String) });
    expect((await service.getKey("absent", "k"))?.value).toBe(1);
  });

  it("set refuses what is no value, in a sentence and with exit code 2", async () => {
    const attempts: [string[], CliOptions, RegExp][] = [
      [["{a: 1}"], {}, /^the value is no JSON at line 1, column 2: expected a name in double quotes$/],
      [[], {}, /^the value is no JSON at line 1, column 1, where the text ends: expected a JSON value/],
      [
        [],
        { input: new Uint8Array([0x22, 0xff, 0x22]) },
        /^standard input is not UTF-8 text; expected JSON$/,
      ],
      [['{"$date": "today"}'], {}, /^value .*\$date/],
      [['{"a": 1, "a": 2}'], {}, /^value is invalid at a: /],
      [["[".repeat(31) + "]".repeat(31)], {}, /30/],
      [["1", "--ttl", "10"], {}, /^--ttl "10" has no unit; expected /],
      [["1", "--ttl", "0s"], {}, /^--ttl "0s" is out of range; expected from 1ms to 36525d$/],
      [["1", "--policy", "keep"], {}, /^--policy "keep" is not known; expected persist, evict$/],
    ];
    const results = await Promise.all(
      attempts.map(([args, options]) => run(["set", "bad", "k", ...args], options)),
    );
    for (const [index, { code, stdout, stderr }] of results.entries()) {
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(/^execution-store: [^\n]+\n$/);
      expect(stderr.slice("execution-store: ".length, -1)).toMatch(attempts[index]?.[2] ?? /never/);
    }
    expect(await service.hasStore("bad")).toBe(false);
  });

  it("get exits with 3 and prints nothing where there is no key", async () => {
    const missing = {
      code: 3,
      stdout: "",
      stderr: expect.stringMatching(/^execution-store: key "no" is not in store "nowhere"/),
    };
    expect(await run(["get", "nowhere", "no"])).toEqual(missing);
    expect(await run(["get", "nowhere", "no", "--json"])).toEqual(missing);
    expect(await run(["info", "nowhere", "no"])).toEqual(missing);
  });

  it("get prints a value that is too deep for the wire's JSON as canonical Extended JSON", async () => {
    let deep: unknown = 7;
    for (let level = 0; level < 60; level += 1) deep = [deep];
    await service.setKey("deep", "k", deep);
    const { code, stdout } = await run(["get", "deep", "k"]);
    expect(code).toBe(0);
    expect(stdout.replaceAll(/\s/g, "")).toBe(`${"[".repeat(60)}{"$numberInt":"7"}${"]".repeat(60)}`);
  });

  it("delete tells how many there were, and exits with 3 if one was not", async () => {
    await service.batchSetKeys(
      "gone",
      ["a", "b", "c", "-d"].map((key) => ({ key, value: key })),
    );
    expect(await run(["delete", "gone", "a", "--", "-d"])).toEqual({
      code: 0,
      stdout: "",
      stderr: said("deleted 2 of 2 keys"),
    });
    expect(await run(["delete", "gone", "b", "no"])).toEqual({
      code: 3,
      stdout: "",
      stderr: said("deleted 1 of 2 keys"),
    });
    expect(await lines(["delete", "gone", "c", "c"])).toEqual([{ deleted_count: 1, named_count: 1 }]);
    expect(await service.hasStore("gone")).toBe(false);
  });

  it("keys lists in order, plain, long and as JSON", async () => {
    await service.setKey("listed", "b", 1, { ttl: 3600 });
    await service.setKey("listed", "a\n", 1);
    await service.setKey("listed", "bb", 1);
    const [plain, prefixed, long, json, longJson, none] = await Promise.all([
      run(["keys", "listed"]),
      run(["keys", "listed", "--prefix", "b"]),
      run(["keys", "listed", "--long"]),
      lines(["keys", "listed"]),
      lines(["keys", "listed", "--long", "--prefix", "bb"]),
      run(["keys", "listed", "--prefix", "zz"]),
    ]);
    expect(plain).toEqual({ code: 0, stdout: '"a\\n"\nb\nbb\n', stderr: "" });
    expect(prefixed.stdout).toBe("b\nbb\n");
    expect(long.stdout.split("\n")).toEqual([
      expect.stringMatching(/^KEY {4}POLICY {3}CREATED {19}UPDATED {19}EXPIRES$/),
      expect.stringMatching(/^"a\\n" {2}persist {2}\S{24} {2}\S{24} {2}-$/),
      expect.stringMatching(/^b {6}evict {4}\S{24} {2}\S{24} {2}\S{24}$/),
      expect.stringMatching(/^bb {5}persist /),
      "",
    ]);
    expect(json).toEqual([{ key: "a\n" }, { key: "b" }, { key: "bb" }]);
    expect(longJson).toEqual([
      expect.objectContaining({
        store_name: "listed",
        key: "bb",
        created_at: TIME,
        expires_at: null,
        etag: expect.any(String),
      }),
    ]);
    expect(none).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await run(["keys", "unlisted"])).toMatchObject({
      code: 3,
      stdout: "",
      stderr: expect.stringContaining('store "unlisted"'),
    });
  });

  it("keys ends quietly when its reader has seen enough", async () => {
    const entries = Array.from({ length: 30_000 }, (_, index) => ({
      key: `${"k".repeat(100)}${index}`,
      value: null,
    }));
    await service.batchSetKeys("many", entries);
    const child = spawnCli(["keys", "many"], { env: { EXECUTION_STORE_ADDRESS: firstAddress(server) } });
    const ended = once(child, "close");
    let complaints = "";
    child.stderr.on("data", (chunk) => (complaints += String(chunk)));
    await once(child.stdout, "data");
    child.stdout.destroy();
    expect(await ended).toEqual([0, null]);
    expect(complaints).toBe("");
  });

  it("stores lists those of a context, or of all", async () => {
    await service.createStore("shelf-1", { metadata: { owner: "me" } });
    await run(["set", "shelf-2", "k", "1", "--dataset", DATASET.toUpperCase()]);
    const [plain, dataset, table, json] = await Promise.all([
      run(["stores", "--prefix", "shelf"]),
      run(["stores", "--prefix", "shelf"], { env: { EXECUTION_STORE_DATASET: DATASET } }),
      run(["stores", "--prefix", "shelf", "--all-contexts"]),
      lines(["stores", "--prefix", "shelf", "--all-contexts"]),
    ]);
    expect(plain).toEqual({ code: 0, stdout: "shelf-1\n", stderr: "" });
    expect(dataset.stdout).toBe("shelf-2\n");
    expect(table.stdout.split("\n")).toEqual([
      expect.stringMatching(/^DATASET ID {16}STORE NAME {2}POLICY {3}CREATED {19}UPDATED {19}EXPIRES$/),
      expect.stringMatching(/^- {25}shelf-1 {5}persist {2}\S{24} {2}\S{24} {2}-$/),
      expect.stringMatching(/^65f0c0ffee65f0c0ffee65f0 {2}shelf-2 {5}-/),
      "",
    ]);
    expect(json).toEqual([
      expect.objectContaining({ store_name: "shelf-1", dataset_id: null, policy: "persist" }),
      expect.objectContaining({ store_name: "shelf-2", dataset_id: DATASET, policy: null, created_at: null }),
    ]);
    expect(await lines(["stores", "--prefix", "shelf"])).toEqual([{ store_name: "shelf-1" }]);
    expect(await run(["stores", "--all-contexts", "--dataset", DATASET])).toMatchObject({
      code: 2,
      stdout: "",
    });
  });

  it("health is SERVING and 0, and 4 where no server is", async () => {
    expect(await run(["health"])).toMatchObject({ code: 0, stdout: "SERVING\n" });
    expect(await lines(["health"])).toEqual([{ address: firstAddress(server), health: "SERVING" }]);
    const nowhere = await runCli(["health", "--address", "127.0.0.1:1", "--timeout", "2s"]);
    expect(nowhere).toMatchObject({ code: 4, stdout: "" });
    expect(nowhere.stderr).toContain("127.0.0.1:1");
  });

  it("info tells about the server, a store and a key", async () => {
    await service.createStore("told", { metadata: { owner: "me", id: 7n } });
    await service.setKey("told", "k", "secret");
    const [plain, json, storePlain, storeJson, keyPlain, keyJson] = await Promise.all([
      run(["info"]),
      lines(["info"]),
      run(["info", "told"]),
      lines(["info", "told"]),
      run(["info", "told", "k"]),
      lines(["info", "told", "k"]),
    ]);
    expect(plain.stdout).toMatch(/^health +SERVING$/m);
    expect(plain.stdout).toMatch(/^store_count +\d+$/m);
    expect(json).toEqual([
      {
        address: firstAddress(server),
        health: "SERVING",
        answer_ms: expect.any(Number),
        store_count: expect.any(Number),
        store_count_all_contexts: expect.any(Number),
      },
    ]);
    expect(storePlain.stdout).toMatch(/^metadata +\{"owner":"me","id":7\}$/m);
    expect(storeJson).toEqual([
      expect.objectContaining({
        store_name: "told",
        key_count: 1,
        policy: "persist",
        metadata: { owner: "me", id: 7 },
      }),
    ]);
    expect(keyPlain.stdout).toMatch(/^key +k$/m);
    expect(keyPlain.stdout).not.toContain("secret");
    expect(keyJson).toEqual([expect.objectContaining({ key: "k", policy: "persist", created_at: TIME })]);
    expect(await run(["info", "untold"])).toMatchObject({ code: 3, stdout: "" });
  });

  it("collections are the server's to allow", async () => {
    expect(await run(["set", "s", "k", "1", "--collection", "other"])).toMatchObject({ code: 0 });
    expect(await run(["get", "s", "k"], { env: { EXECUTION_STORE_COLLECTION: "other" } })).toMatchObject({
      stdout: "1\n",
    });
    expect(await run(["get", "s", "k"])).toMatchObject({ code: 3 });
    expect(await run(["get", "s", "k", "--collection", "third"])).toMatchObject({ code: 1, stdout: "" });
  });

  it("wrong use is exit code 2 and one sentence", async () => {
    const results = await Promise.all([
      run(["get", "s"]),
      run(["get", "s", "k", "too-much"]),
      run(["get", "s", "k", "--dataset", "x"]),
      run(["get", "s", "k", "--timeout", "5"]),
      run(["get", "s", "k"], { env: { EXECUTION_STORE_ADDRESS: "nowhere" } }),
      run(["set", "s".repeat(256), "k", "1"]),
      run(["set", "s", "-x", "1"]),
      run(["get", "s", "k", "--timeout", "5s", "--timeout", "6s"]),
      run(["set", "s", "k", "1", "--ttl", "5s", "--ttl=6s"]),
      run(["get", "s", "k", "--jsn"]),
      run(["get", "s", "k", "--address", "mongodb://u:hunter2@h/x"]),
      run(["mongodb://u:hunter2@h/x"]),
    ]);
    for (const { code, stdout, stderr } of results) {
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(/^execution-store: [^\n]+\n$/);
    }
    expect(results[4]?.stderr).toContain(
      "the variable EXECUTION_STORE_ADDRESS has no host or no port; expected HOST:PORT",
    );
    const sentences = results.map(({ stderr }) => stderr.slice("execution-store: ".length, -1));
    expect(sentences[1]).toBe(
      "too many arguments for 'get'; expected 2 arguments but got 3; --help explains the command",
    );
    expect(sentences[2]).toMatch(/^--dataset is not an ObjectId; expected 24 hex digits/);
    expect(sentences[6]).toBe(
      "unknown option '-x'; put names that begin with - behind --; --help explains the command",
    );
    expect(sentences[7]).toBe("--timeout is given more than once; expected it once");
    expect(sentences[8]).toBe("--ttl is given more than once; expected it once");
    expect(sentences[9]).toBe("unknown option '--jsn' (Did you mean --json?); --help explains the command");
    expect(sentences.join("\n")).not.toContain("hunter2");
  });

  it("an unreachable server is exit code 4", async () => {
    const { code, stdout, stderr } = await run([
      "get",
      "s",
      "k",
      "--address",
      `unix:${folder}/none`,
      "--timeout",
      "5s",
    ]);
    expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
    expect(stderr).toMatch(/^execution-store: [^\n]*cannot be reached[^\n]*\n$/);
  });
});
