import { connect, createServer, type Socket } from "node:net";

/** What precedes the number in a server's reply to `hello`: the type int32, and the field's name. */
const FIELD = Buffer.from("\x10maxWireVersion\0", "latin1");

/** A relay in front of a server which makes it seem older. */
export interface OlderServer extends AsyncDisposable {
  readonly port: number;
}

/** Passes everything on, but for the wire version that the server says it has. */
export async function startOlderServer(port: number, wireVersion: number): Promise<OlderServer> {
  const sockets = new Set<Socket>();
  const own = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket));
  };
  const relay = createServer((client) => {
    const server = connect(port, "127.0.0.1");
    own(client);
    own(server);
    client.pipe(server);
    server.on("data", (chunk) => {
      const at = chunk.indexOf(FIELD);
      if (at >= 0) chunk.writeInt32LE(wireVersion, at + FIELD.length);
      client.write(chunk);
    });
    server.on("close", () => client.destroy());
    client.on("close", () => server.destroy());
  });
  await new Promise<void>((resolve) => {
    relay.listen(0, "127.0.0.1", resolve);
  });
  const address = relay.address();
  if (address === null || typeof address === "string") throw new Error("the relay has no port");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        relay.close(resolve);
      });
    },
  };
}
