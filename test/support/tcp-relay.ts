import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { freePort } from "./free-port.js";

/** What a relay does with what comes along. */
type Passing = "all" | "requests" | "nothing";

/** A TCP port in front of another, that can fail as networks do. Clients that learn of other addresses go past it. */
export interface TcpRelay extends AsyncDisposable {
  readonly port: number;
  /** How many connections are open. */
  readonly connections: number;
  /** Closes all connections and refuses new ones until `mend`. */
  cut(): Promise<void>;
  /** Keeps connections open, and takes new ones, but passes nothing on until `mend`: "replies" holds only those back. */
  freeze(what?: "everything" | "replies"): void;
  /** Passes everything on again, what was held back first. */
  mend(): Promise<void>;
  /** Closes everything. Idempotent. */
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Opens a relay to a port of this machine. */
export async function startTcpRelay(target: number): Promise<TcpRelay> {
  const pairs = new Set<Pair>();
  let passing: Passing = "all";
  const server = createServer((client) => {
    const pair = { client, server: connect(target, "127.0.0.1") };
    pairs.add(pair);
    join(pair, () => pairs.delete(pair));
    apply(pair, passing);
  });
  const listen = async (port: number): Promise<void> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  const port = await freePort();
  await listen(port);
  const pass = (next: Passing): void => {
    passing = next;
    for (const pair of pairs) apply(pair, next);
  };
  const cut = async (): Promise<void> => {
    for (const { client, server: upstream } of pairs) {
      client.destroy();
      upstream.destroy();
    }
    pairs.clear();
    if (!server.listening) return;
    server.close();
    await once(server, "close");
  };
  return {
    port,
    get connections() {
      return pairs.size;
    },
    cut,
    freeze: (what = "everything") => pass(what === "replies" ? "requests" : "nothing"),
    mend: async () => {
      if (!server.listening) await listen(port);
      pass("all");
    },
    close: cut,
    [Symbol.asyncDispose]: cut,
  };
}

function join({ client, server }: Pair, closed: () => void): void {
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.setNoDelay(true);
    from.on("data", (chunk) => to.write(chunk));
    // The end of one side is the end of both; an error is one, too, and nothing to report.
    from.on("error", () => {});
    from.on("close", () => {
      to.destroy();
      closed();
    });
  }
}

function apply({ client, server }: Pair, passing: Passing): void {
  if (passing === "nothing") client.pause();
  else client.resume();
  if (passing === "all") server.resume();
  else server.pause();
}
