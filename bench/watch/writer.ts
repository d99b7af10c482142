import { setTimeout as delay } from "node:timers/promises";
import { callHeaders, type Http2Connection, openHttp2Connection } from "../http2-connection.js";
import { clockMicros } from "./clock.js";
import { Histogram } from "./histogram.js";
import { type Stampable, stamped } from "./stamp.js";
import type { Place, WatchedServer } from "./watched-server.js";

const CONNECTIONS = 4;
/** Beyond it the writer waits: the server does not keep up. */
const MOST_IN_FLIGHT = 2000;

/** What a stretch of writing came to. */
export interface Written {
  readonly writes: number;
  /** From the first write sent to the last one sent. */
  readonly ms: number;
  /** From sending a write to its answer, in microseconds. */
  readonly delays: Histogram;
  /** Processor time of this process meanwhile. */
  readonly cpuMs: number;
}

/** Writes keys, each value with the time at which it is sent. */
export interface Writer {
  /** Writes the places in turn at a fixed rate, whether or not answers come, and waits for the last answers. */
  atRate(perSecond: number, ms: number): Promise<Written>;
  /** Writes the places in turn, so many at once, and waits for the last answers. */
  atOnce(inFlight: number, ms: number): Promise<Written>;
  close(): void;
}

class PlaceWriter implements Writer {
  readonly #headers: Buffer;
  readonly #requests: readonly Stampable[];
  #next = 0;
  #inFlight = 0;
  #delays = new Histogram();
  #failure: Error | undefined;
  #answered: () => void = () => {};

  constructor(
    { write }: WatchedServer,
    places: readonly Place[],
    private readonly connections: readonly Http2Connection[],
  ) {
    this.#headers = callHeaders(write.path);
    this.#requests = places.map((place) => write.message(place));
  }

  atRate(perSecond: number, ms: number): Promise<Written> {
    return this.#write(async (start) => {
      let sent = 0;
      while (performance.now() - start < ms) {
        const due = Math.floor(((performance.now() - start) * perSecond) / 1000) - sent;
        for (let left = due; left > 0 && this.#inFlight < MOST_IN_FLIGHT; left--) this.#send();
        // Those that were held back are left out: the rate that was reached is told.
        sent += Math.max(0, due);
        await delay(1);
      }
    });
  }

  atOnce(inFlight: number, ms: number): Promise<Written> {
    return this.#write(async (start) => {
      while (performance.now() - start < ms) {
        while (this.#inFlight < inFlight) this.#send();
        await new Promise<void>((resolve) => {
          this.#answered = resolve;
        });
      }
    });
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }

  async #write(send: (start: number) => Promise<void>): Promise<Written> {
    this.#delays = new Histogram();
    const cpu = process.cpuUsage();
    const start = performance.now();
    await send(start);
    const ms = performance.now() - start;
    while (this.#inFlight > 0 && this.#failure === undefined) await delay(1);
    if (this.#failure !== undefined) throw this.#failure;
    const spent = process.cpuUsage(cpu);
    const delays = this.#delays;
    return { writes: delays.count, ms, delays, cpuMs: (spent.user + spent.system) / 1000 };
  }

  #send(): void {
    const index = this.#next++;
    const request = this.#requests[index % this.#requests.length];
    const connection = this.connections[index % this.connections.length];
    if (request === undefined || connection === undefined) throw new RangeError("there is nothing to write");
    const sent = clockMicros();
    this.#inFlight += 1;
    connection.call(this.#headers, stamped(request, sent), (error) => {
      this.#inFlight -= 1;
      if (error === undefined) this.#delays.record(clockMicros() - sent);
      else this.#failure ??= error;
      this.#answered();
    });
  }
}

/** Opens a writer of these places. */
export async function openWriter(server: WatchedServer, places: readonly Place[]): Promise<Writer> {
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => openHttp2Connection(server.port)),
  );
  return new PlaceWriter(server, places, connections);
}
