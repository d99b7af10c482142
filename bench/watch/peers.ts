import { join } from "node:path";
import { leavesOut, WITHOUT } from "../../test/support/left-out.js";
import type { Child } from "../children.js";
import type { EngineName } from "../options.js";
import { median } from "../rounds.js";
import { type Delays, type Delivery, measureDelivery, type Subject } from "./delivery.js";
import type { Deployment } from "./deployment.js";
import type { Effort } from "./effort.js";
import { startEtcd } from "./etcd-server.js";
import { etcdWatches } from "./etcd-watches.js";
import { fiftyOneWatchers, startFiftyOneWatch } from "./fiftyone-watchers.js";
import { storeWatches } from "./store-watches.js";
import { watchClients } from "./watch-clients.js";
import { oneStore, ownStores, type WatchLoad } from "./watch-load.js";
import type { DeliveryRow, DeliveryTable } from "./watch-report.js";
import type { WatchedServer } from "./watched-server.js";
import type { Watchers } from "./watchers.js";

const WRITES_PER_SECOND = 500;
const OWN = "execution-store";
const LOADS: Readonly<Record<EngineName, readonly WatchLoad[]>> = {
  lmdb: [oneStore(1), ownStores(100), ownStores(1000), oneStore(100)],
  mongodb: [oneStore(1), ownStores(100), oneStore(100)],
};

/** A system that is compared. */
type Peer = Subject & { readonly name: string };

/** Who else can be had, and how to end it. */
interface Others {
  readonly peers: readonly Peer[];
  readonly description: string;
  close(): Promise<void>;
}

function leftOut(name: string, reason: unknown): Others {
  const text = reason instanceof Error ? reason.message : String(reason);
  process.stderr.write(`${name} is left out. ${text}\n`);
  return { peers: [], description: `without ${name}`, close: async () => {} };
}

async function etcdBeside({ directory, watchProcesses }: Deployment): Promise<Others> {
  try {
    const { child, description } = await startEtcd(join(directory, "etcd"));
    const server = etcdWatches(child);
    const watchers = watchClients(server, watchProcesses);
    return { peers: [{ name: server.name, server, watchers }], description, close: () => child.stop() };
  } catch (error) {
    return leftOut("etcd", error);
  }
}

async function fiftyOneBeside({ database, directory }: Deployment, server: WatchedServer): Promise<Others> {
  if (database === undefined || leavesOut("fiftyone")) return leftOut("FiftyOne", `${WITHOUT} says so`);
  let child: Child;
  try {
    child = await startFiftyOneWatch(database.uri, database.name, directory);
  } catch (error) {
    return leftOut("FiftyOne", error);
  }
  const watchers: Watchers = fiftyOneWatchers(child);
  return {
    peers: [{ name: "FiftyOne", server, watchers }],
    description: "FiftyOne's notification service reading its change stream",
    close: () => child.stop(),
  };
}

function medianDelays(rounds: readonly Delays[]): Delays {
  return {
    p50: median(rounds.map(({ p50 }) => p50)),
    p99: median(rounds.map(({ p99 }) => p99)),
    max: Math.max(...rounds.map(({ max }) => max)),
  };
}

/** The median of the rounds, figure by figure, and the longest delay of all. */
function medianDelivery(rounds: readonly Delivery[]): Delivery {
  const of = (figure: (round: Delivery) => number | undefined): number =>
    median(rounds.map((round) => figure(round) ?? Number.NaN));
  return {
    watchers: rounds[0]?.watchers ?? 0,
    writesPerSecond: of((round) => round.writesPerSecond),
    eventsPerSecond: of((round) => round.eventsPerSecond),
    delays: medianDelays(rounds.map(({ delays }) => delays)),
    writes: medianDelays(rounds.map(({ writes }) => writes)),
    cores: {
      server: of(({ cores }) => cores.server),
      watchers: of(({ cores }) => cores.watchers),
      writer: of(({ cores }) => cores.writer),
    },
  };
}

/** Loads the systems in alternation, each round beginning with another one. */
async function compareOne(
  peers: readonly Peer[],
  load: WatchLoad,
  { rounds, roundPace }: Effort,
): Promise<readonly Delivery[]> {
  const measured = peers.map((): Delivery[] => []);
  for (let turn = 0; turn < rounds; turn++) {
    for (let step = 0; step < peers.length; step++) {
      const index = (turn + step) % peers.length;
      const peer = peers[index];
      if (peer === undefined) continue;
      try {
        measured[index]?.push(await measureDelivery(peer, load, WRITES_PER_SECOND, roundPace));
      } catch (error) {
        throw new Error(`${peer.name}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
    }
  }
  return measured.map(medianDelivery);
}

function rowsOf(peers: readonly Peer[], deliveries: readonly Delivery[]): DeliveryRow[] {
  const [own, ...others] = deliveries;
  return peers.flatMap(({ name }, index) => {
    const delivery = deliveries[index];
    if (delivery === undefined || own === undefined) return [];
    const ratio = (share: "p50" | "p99", other: Delivery) => own.delays[share] / other.delays[share];
    const checks = others.flatMap((other, at) =>
      (["p50", "p99"] as const).map((share) => ({
        name: `${share} ÷ that of ${peers[at + 1]?.name ?? ""}`,
        value: ratio(share, other),
        unit: "",
        target: { atMost: 1 },
      })),
    );
    return [{ name, delivery, checks: index === 0 ? checks : [] }];
  });
}

/** Measures the server beside what else tells of changes: over LMDB etcd, over MongoDB FiftyOne on the same database. */
export async function comparePeers(
  deployment: Deployment,
  effort: Effort,
  progress: (text: string) => void,
): Promise<{ readonly tables: readonly DeliveryTable[]; readonly description: string }> {
  const child = await deployment.start();
  const server = storeWatches(OWN, child);
  const own: Peer = { name: OWN, server, watchers: watchClients(server, deployment.watchProcesses) };
  const others =
    deployment.engine === "lmdb" ? await etcdBeside(deployment) : await fiftyOneBeside(deployment, server);
  const peers = [own, ...others.peers];
  const tables: DeliveryTable[] = [];
  for (const load of LOADS[deployment.engine]) {
    progress(`${load.name}, side by side`);
    const title = `${load.name}, ${WRITES_PER_SECOND} writes/s, side by side (medians of ${effort.rounds} rounds)`;
    tables.push({ title, rows: rowsOf(peers, await compareOne(peers, load, effort)) });
  }
  await Promise.all([others.close(), child.stop()]);
  return { tables, description: others.description };
}
