import { type ExecFileException, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { ExecutionStore } from "execution-store";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Guardian } from "../support/guardian.js";
import { initiateSingle } from "../support/mongodb/initiate.js";
import { tempDir } from "../support/temp-dir.js";
import { until } from "../support/until.js";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");
const IMAGE = `execution-store:check-${randomBytes(4).toString("hex")}`;
const SERVICE_PORT = "50051/tcp";
const MONGODB_PORT = 27017;
const ALLOW = ["--env", "EXECUTION_STORE_ALLOW_REMOTE=true", "--publish", "127.0.0.1::50051"];

/** Removes containers in any case; see guardian.ts. */
const guardian = new Guardian();

async function docker(...args: string[]): Promise<string> {
  return (await run("docker", args, { cwd: ROOT, maxBuffer: 1 << 26 })).stdout.trim();
}

async function inspect(container: string, format: string): Promise<string> {
  return docker("inspect", "--format", format, container);
}

/** Starts a container of the image and waits until its own health check is content. */
async function startService(...args: string[]): Promise<{ id: string; address: string }> {
  const id = await docker("run", "--detach", ...ALLOW, ...args, IMAGE);
  guardian.ownContainer(id);
  onTestFinished(async () => {
    await docker("rm", "--force", "--volumes", id);
  });
  try {
    await until(
      async () => (await inspect(id, "{{.State.Health.Status}}")) === "healthy",
      "the container is healthy",
      60_000,
    );
  } catch (error) {
    const { stdout, stderr } = await run("docker", ["logs", id]);
    throw new Error(`${String(error)}; its log:\n${stdout}${stderr}`, { cause: error });
  }
  const [address = ""] = (await docker("port", id, SERVICE_PORT)).split("\n");
  return { id, address };
}

/** Starts a replica set of one and answers its address in Docker's own network. */
async function startMongodb(): Promise<string> {
  const mongod = ["mongod", "--bind_ip_all", "--replSet", "rs0"];
  const id = await docker(
    "run",
    "--detach",
    "--publish",
    `127.0.0.1::${MONGODB_PORT}`,
    "mongo:6.0",
    ...mongod,
  );
  guardian.ownContainer(id);
  const [address = ""] = (await docker("port", id, `${MONGODB_PORT}/tcp`)).split("\n");
  await initiateSingle(`mongodb://${address}/?directConnection=true`, `127.0.0.1:${MONGODB_PORT}`);
  const host = await inspect(id, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
  return `${host}:${MONGODB_PORT}`;
}

/** Runs the example worker as its README says, and answers what it prints. */
async function runExample(folder: string, address: string): Promise<{ code: number; output: string }> {
  const args = ["run", "--silent", "example", "--", folder, "--address", address];
  const child = spawn("npm", args, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  return { code: Number(code), output };
}

beforeAll(async () => {
  await docker("build", "--quiet", "--force-rm", "--network", "host", "--tag", IMAGE, ".");
});

afterAll(async () => {
  await guardian.close();
  await docker("image", "rm", "--force", IMAGE);
});

describe("the image", () => {
  test("serves the example worker, keeps its data and stops in order", async () => {
    const volume = `execution-store-check-${randomBytes(4).toString("hex")}`;
    onTestFinished(async () => {
      await docker("volume", "rm", "--force", volume);
    });
    const mount = ["--volume", `${volume}:/data`];
    const first = await startService(...mount);
    expect(await runExample(join(ROOT, "src"), first.address)).toMatchObject({
      code: 0,
      output: expect.stringMatching(/\d+ computed, 0 served from the store, 0 failed/),
    });
    expect(await docker("exec", first.id, "id", "-u")).not.toBe("0");
    const progress = await docker("exec", first.id, "execution-store", "get", "file-statistics", "progress");
    expect(JSON.parse(progress)).toMatchObject({ state: "finished" });
    const stopping = performance.now();
    await docker("stop", "-t", "30", first.id);
    // A process that ignores SIGTERM would be killed after the 30 s, with exit code 137.
    expect(performance.now() - stopping).toBeLessThan(15_000);
    expect(await inspect(first.id, "{{.State.ExitCode}}")).toBe("0");

    const second = await startService(...mount);
    expect(await runExample(join(ROOT, "src"), second.address)).toMatchObject({
      code: 0,
      output: expect.stringMatching(/ 0 computed, \d+ served from the store, 0 failed/),
    });
  });

  test("serves the example worker from a MongoDB in another container", async () => {
    const host = await startMongodb();
    const store = `EXECUTION_STORE_STORE=mongodb://${host}/image_check?directConnection=true`;
    const { address } = await startService("--env", store);
    const folder = tempDir();
    await copyFile(join(ROOT, "README.md"), join(folder, "text.md"));
    expect(await runExample(folder, address)).toMatchObject({ code: 0 });
    await using statistics = ExecutionStore.create("file-statistics", { address });
    expect(await statistics.get("progress")).toMatchObject({ state: "finished", computed: 1 });
  });

  test("does not listen for others unless it is told to", async () => {
    const refused = await run("docker", ["run", "--rm", IMAGE]).catch((error: ExecFileException) => error);
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("EXECUTION_STORE_ALLOW_REMOTE=true"),
    });
  });
});
