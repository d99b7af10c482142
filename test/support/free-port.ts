import { once } from "node:events";
import { createServer } from "node:net";

/** Below the ports that systems give to outgoing connections (Linux: 32768, others: 49152). */
const FIRST = 20_000;
const COUNT = 12_000;

/**
 * A free port of 127.0.0.1 for what is ended and started again there: one of those that systems give away by
 * themselves might meanwhile be that of somebody's connection.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listening = once(server, "listening").then(
    () => true,
    () => false,
  );
  server.listen(port, "127.0.0.1");
  if (!(await listening)) return false;
  server.close();
  await once(server, "close");
  return true;
}
