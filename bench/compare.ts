import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BenchClient, createBenchClient, methodPath } from "./bench-client.js";
import { type Child, startChild } from "./children.js";
import { type Comparison, LARGE_KEYS, STORES } from "./comparisons.js";
import { EchoMessage, echoMessageOf } from "./echo-message.js";
import { ECHO_SERVICE, type EchoMethod, TYPED_ECHO_SERVICE } from "./echo-plan.js";
import { startExecutionStore } from "./execution-store-server.js";
import { load, type Workload } from "./load.js";
import type { BenchOptions } from "./options.js";
import type { ComparisonResult, Figure, Ratio } from "./report.js";
import { alternate, type Pace, rateRatio, type Subject, type SubjectRounds } from "./rounds.js";
import { sampleKey, setKeyMessage } from "./sample-requests.js";
import { largeValue } from "./sample-values.js";
import { writeSmallValues } from "./write-values.js";

const CONNECTIONS = 4;
// Processes that were just started run code that is not compiled yet: the first warm-up is that much longer.
const FIRST_WARM_UP = 4;
const SERVER = "execution-store";
const NICE_GRPC = "nice-grpc echo";
const NICE_GRPC_TYPED = "nice-grpc, same messages";
const GRPC_JS = "grpc-js echo";

/** A comparison with what it sends and what the server answers. */
interface Prepared {
  readonly comparison: Comparison;
  readonly messages: readonly Buffer[];
  readonly requestBytes: number;
  readonly reply: Buffer;
}

interface Servers {
  readonly store: Child;
  readonly niceGrpc: Child;
  readonly grpcJs: Child;
}

async function writeValues(client: BenchClient): Promise<void> {
  await writeSmallValues(client, STORES.small);
  for (let index = 0; index < LARGE_KEYS; index++) {
    await client.call("SetKey", setKeyMessage(STORES.large, sampleKey(index), largeValue(index), "bson"));
  }
}

/** Makes the requests and calls once, which fails in words where the method fails, and gives the echoes their size. */
async function prepare(comparison: Comparison, client: BenchClient): Promise<Prepared> {
  const messages = comparison.messages();
  const first = messages[0] ?? Buffer.alloc(0);
  const reply = await client.call(comparison.method, first);
  return { comparison, messages, requestBytes: first.length, reply };
}

function echoPlan(prepared: readonly Prepared[]): readonly EchoMethod[] {
  return prepared.map(({ comparison: { part, typed }, reply }) => ({
    name: part,
    replyBytes: reply.length,
    reply: typed === undefined ? undefined : reply.toString("base64"),
    typed,
  }));
}

function startEcho(file: string, plan: string): Promise<Child> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return startChild(file, ["--import", "tsx", path, plan]);
}

function subject(name: string, { pid, port }: Child, workload: Workload): Subject {
  return { name, pid, load: (ms) => load(port, workload, ms) };
}

function subjectsOf({ comparison, messages, requestBytes }: Prepared, servers: Servers): Subject[] {
  const { part, inFlight, method, typed } = comparison;
  const shared = { connections: CONNECTIONS, inFlight };
  const echo = Buffer.from(EchoMessage.encode(echoMessageOf(requestBytes)).finish());
  const own = { ...shared, path: methodPath(method), messages };
  const plain = { ...shared, path: `/${ECHO_SERVICE}/${part}`, messages: [echo] };
  const same = { ...shared, path: `/${TYPED_ECHO_SERVICE}/${part}`, messages };
  return [
    subject(SERVER, servers.store, own),
    subject(NICE_GRPC, servers.niceGrpc, plain),
    ...(typed === undefined ? [] : [subject(NICE_GRPC_TYPED, servers.niceGrpc, same)]),
    subject(GRPC_JS, servers.grpcJs, plain),
  ];
}

function throughput({ comparison, requestBytes, reply }: Prepared, callsPerSecond: number) {
  const { keys, bulk, keysPerSecond } = comparison;
  if (keys !== undefined) {
    const figure: Figure = { name: "keys", value: callsPerSecond * keys, unit: "keys/s" };
    return keysPerSecond === undefined ? figure : { ...figure, target: keysPerSecond };
  }
  const megabytes = Math.max(requestBytes, reply.length) / 1e6;
  return bulk === true ? { name: "bytes", value: callsPerSecond * megabytes, unit: "MB/s" } : undefined;
}

function ratiosOf(comparison: Comparison, rounds: readonly SubjectRounds[]): Ratio[] {
  const [store, ...baselines] = rounds;
  if (store === undefined) return [];
  return baselines.map((baseline) => {
    const ratio = { baseline: baseline.name, ratio: rateRatio(store, baseline) };
    const target = baseline.name === GRPC_JS ? undefined : comparison.ratio;
    return target === undefined ? ratio : { ...ratio, target };
  });
}

async function compareOne(prepared: Prepared, servers: Servers, pace: Pace): Promise<ComparisonResult> {
  const { comparison, requestBytes, reply } = prepared;
  const subjects = await alternate(subjectsOf(prepared, servers), pace);
  return {
    name: comparison.part,
    title: comparison.title,
    inFlight: comparison.inFlight,
    connections: CONNECTIONS,
    requestBytes,
    responseBytes: reply.length,
    subjects,
    ratios: ratiosOf(comparison, subjects),
    figure: throughput(prepared, subjects[0]?.medianCallsPerSecond ?? Number.NaN),
  };
}

/** Measures the comparisons one after the other, on servers that live for all of them. */
export async function compare(
  comparisons: readonly Comparison[],
  options: BenchOptions,
  directory: string,
  pace: Pace,
  progress: (text: string) => void,
): Promise<readonly ComparisonResult[]> {
  if (comparisons.length === 0) return [];
  const store = await startExecutionStore(options.server, `lmdb:${join(directory, "compare")}`);
  const client = createBenchClient(store.port);
  await writeValues(client);
  const prepared: Prepared[] = [];
  for (const comparison of comparisons) prepared.push(await prepare(comparison, client));
  client.close();

  const plan = join(directory, "echo-plan.json");
  writeFileSync(plan, JSON.stringify(echoPlan(prepared)));
  const servers = {
    store,
    niceGrpc: await startEcho("./echo-nice-grpc.ts", plan),
    grpcJs: await startEcho("./echo-grpc-js.ts", plan),
  };

  progress("nothing yet, warming up");
  for (const first of prepared.slice(0, 1).flatMap((item) => subjectsOf(item, servers))) {
    await first.load(FIRST_WARM_UP * pace.warmUpMs);
  }
  const results: ComparisonResult[] = [];
  for (const item of prepared) {
    progress(item.comparison.title);
    results.push(await compareOne(item, servers, pace));
  }
  await Promise.all(Object.values(servers).map((child) => child.stop()));
  return results;
}
