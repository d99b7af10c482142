import type { EngineName } from "../options.js";
import type { Figure, FigureGroup } from "../report.js";
import { type Delivery, measureDelivery, measureSaturation, type Subject } from "./delivery.js";
import type { Deployment } from "./deployment.js";
import type { Effort } from "./effort.js";
import { expiryLag } from "./expiry-lag.js";
import { historyTimes } from "./history-times.js";
import { idleWatchers } from "./idle-watchers.js";
import { comparePeers } from "./peers.js";
import type { ProbedServer } from "./probed-server.js";
import { storeWatches } from "./store-watches.js";
import { watchClients } from "./watch-clients.js";
import { oneKey, oneStore, ownKeys, type WatchLoad } from "./watch-load.js";
import type { WatchPart } from "./watch-options.js";
import type { DeliveryRow, DeliveryTable, EngineReport } from "./watch-report.js";

/** Which MongoDB takes beside everything else on two cores. */
const WRITES_PER_SECOND: Readonly<Record<EngineName, number>> = { lmdb: 1000, mongodb: 500 };
/** Of one key: MongoDB writes a document again only when it has written it. */
const ONE_KEY_WRITES_PER_SECOND: Readonly<Record<EngineName, number>> = { lmdb: 1000, mongodb: 100 };
/** More than is required, as the last events of a stretch come after its last write. */
const FAN_OUT_EVENTS_PER_SECOND = 110_000;
const SATURATING_WRITES_IN_FLIGHT = 64;
const REQUIRED_WATCHERS = 1000;
const REQUIRED_EVENTS_PER_SECOND = 100_000;
/** From so many watchers on, two processes hold them. */
const MANY = 1000;

const DELIVERIES: readonly WatchPart[] = ["distinct", "fan-out", "saturation"];

function p99Check({ delays }: Delivery, atMost: number): Figure {
  return { name: "p99", value: delays.p99, unit: "ms", target: { atMost } };
}

/** Measures what watchers get from a server that lives for all of it. */
class Deliveries {
  constructor(
    private readonly deployment: Deployment,
    private readonly server: ProbedServer,
    private readonly effort: Effort,
    private readonly progress: (text: string) => void,
  ) {}

  async distinct(): Promise<DeliveryTable> {
    const rate = WRITES_PER_SECOND[this.deployment.engine];
    const rows: DeliveryRow[] = [];
    for (const count of this.effort.sizes) {
      const load = count === 1 ? oneStore(1) : ownKeys(count);
      const delivery = await this.#measure(`distinct-${count}`, load, (subject) =>
        measureDelivery(subject, load, rate, this.effort.pace),
      );
      const required = this.#isRequired(count);
      rows.push({ name: load.name, delivery, checks: required ? [p99Check(delivery, 20)] : [] });
    }
    return { title: `Watchers of different keys, ${rate.toLocaleString("en-US")} writes/s in turn`, rows };
  }

  async fanOut(): Promise<DeliveryTable> {
    const rows: DeliveryRow[] = [];
    for (const count of this.effort.fanOutSizes) {
      const most = ONE_KEY_WRITES_PER_SECOND[this.deployment.engine];
      const rate = Math.min(most, FAN_OUT_EVENTS_PER_SECOND / count);
      const load = oneKey(count);
      const delivery = await this.#measure(`fan-out-${count}`, load, (subject) =>
        measureDelivery(subject, load, rate, this.effort.pace),
      );
      const required = this.#isRequired(count);
      const target = { atLeast: REQUIRED_EVENTS_PER_SECOND };
      const rateCheck = { name: "events", value: delivery.eventsPerSecond, unit: "a second", target };
      const checks = required ? [rateCheck, p99Check(delivery, 200)] : [];
      rows.push({ name: load.name, delivery, checks });
    }
    return { title: "Watchers of one key, at a rate that the events limit", rows };
  }

  async saturation(): Promise<DeliveryTable> {
    const rows: DeliveryRow[] = [];
    for (const load of [oneStore(REQUIRED_WATCHERS), ownKeys(REQUIRED_WATCHERS)]) {
      const { name, written } = load;
      const delivery = await this.#measure(`saturation-${written.length}`, load, (subject) =>
        measureSaturation(subject, load, SATURATING_WRITES_IN_FLIGHT, this.effort.pace),
      );
      rows.push({ name, delivery, checks: [] });
    }
    return { title: `Saturation: ${SATURATING_WRITES_IN_FLIGHT} writes in flight all the time`, rows };
  }

  /** What must be reached is said for LMDB: with MongoDB, mongod takes most of the machine. */
  #isRequired(watchers: number): boolean {
    return this.deployment.engine === "lmdb" && watchers === REQUIRED_WATCHERS;
  }

  #measure(
    measurement: string,
    { name, watched }: WatchLoad,
    work: (subject: Subject) => Promise<Delivery>,
  ): Promise<Delivery> {
    this.progress(name);
    const server = storeWatches("execution-store", this.server);
    const processes = this.deployment.watchProcesses.slice(0, watched.length < MANY ? 1 : undefined);
    const subject = { server, watchers: watchClients(server, processes) };
    const file = this.deployment.profileFile(measurement);
    return file === undefined ? work(subject) : this.server.profile(file, () => work(subject));
  }
}

async function deliveryTables(
  deployment: Deployment,
  parts: ReadonlySet<WatchPart>,
  effort: Effort,
  progress: (text: string) => void,
): Promise<DeliveryTable[]> {
  if (!DELIVERIES.some((part) => parts.has(part))) return [];
  const server = await deployment.start();
  const deliveries = new Deliveries(deployment, server, effort, progress);
  const tables: DeliveryTable[] = [];
  if (parts.has("distinct")) tables.push(await deliveries.distinct());
  if (parts.has("fan-out")) tables.push(await deliveries.fanOut());
  if (parts.has("saturation")) tables.push(await deliveries.saturation());
  await server.stop();
  return tables;
}

const GROUPS: readonly (readonly [
  WatchPart,
  (deployment: Deployment, effort: Effort) => Promise<FigureGroup>,
])[] = [
  ["idle", idleWatchers],
  ["expiry", expiryLag],
  ["history", historyTimes],
];

/** Measures the watches over one engine. */
export async function measureEngine(
  deployment: Deployment,
  parts: ReadonlySet<WatchPart>,
  effort: Effort,
  progress: (text: string) => void,
): Promise<EngineReport> {
  const { engine, description } = deployment;
  const said = (text: string): void => progress(`${engine}: ${text}`);
  const descriptions = description === undefined ? [] : [description];
  const tables = await deliveryTables(deployment, parts, effort, said);
  const groups: FigureGroup[] = [];
  for (const [part, measure] of GROUPS) {
    if (!parts.has(part)) continue;
    said(part);
    groups.push(await measure(deployment, effort));
  }
  if (parts.has("peers")) {
    const compared = await comparePeers(deployment, effort, said);
    tables.push(...compared.tables);
    descriptions.push(compared.description);
  }
  return { engine, descriptions, tables, groups };
}
