import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { Child } from "../children.js";
import { announce } from "../echo-plan.js";

/** What a process answers that cannot do what it was asked for. */
interface Refusal {
  readonly error: string;
}

async function answer(
  request: IncomingMessage,
  handle: (request: unknown) => object | Promise<object>,
): Promise<object> {
  try {
    return await handle(JSON.parse(await text(request)));
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) } satisfies Refusal;
  }
}

/** Has this process do what the one that started it asks for, by POST in JSON. */
export function serveControl(handle: (request: unknown) => object | Promise<object>): void {
  const server = createServer((request, response) => {
    void answer(request, handle).then((result) => response.end(JSON.stringify(result)));
  });
  server.listen(0, "127.0.0.1", () => announce((server.address() as AddressInfo).port));
}

/** Asks a process that serves so. Throws what it says if it cannot. */
export async function ask<Answer extends object>({ port }: Child, request: object): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}`, { method: "POST", body: JSON.stringify(request) });
  const result = (await response.json()) as Answer | Refusal;
  if ("error" in result) throw new Error(result.error);
  return result;
}
