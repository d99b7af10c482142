import type { Guardian } from "../guardian.js";
import { initiateSingle } from "./initiate.js";
import { FRUGAL } from "./mongod.js";

/** The oldest version that the service works with. */
const IMAGE = "mongo:6.0";
const PORT = 27017;

/** Starts a single-node replica set in Docker and answers its URI. Throws where Docker or the image cannot be had. */
export async function startContainer(guardian: Guardian): Promise<string> {
  // The guardian removes the container, whatever becomes of the tests: the image of testcontainers' own reaper, which
  // would be fetched too, is not needed.
  process.env["TESTCONTAINERS_RYUK_DISABLED"] ??= "true";
  const { GenericContainer, Wait } = await import("testcontainers");
  const container = await new GenericContainer(IMAGE)
    .withCommand(["mongod", "--bind_ip_all", "--replSet=rs0", "--oplogSize=1024", ...FRUGAL])
    .withExposedPorts(PORT)
    .withWaitStrategy(Wait.forLogMessage(/Waiting for connections/))
    .start();
  guardian.ownContainer(container.getId());
  const uri = `mongodb://${container.getHost()}:${container.getMappedPort(PORT)}/?directConnection=true`;
  await initiateSingle(uri, `127.0.0.1:${PORT}`);
  return uri;
}
