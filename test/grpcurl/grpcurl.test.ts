/** Runs docs/grpcurl.md: every command of the page, in order, with a real grpcurl through reflection. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StoreServiceDefinition } from "../../gen/ts/execution_store/v1/execution_store.js";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { createGrpcServer } from "../../src/grpc/server.js";
import type { WatchableEngine } from "../../src/store/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { leavesOut } from "../support/left-out.js";
import { createDatabase } from "../support/mongodb/test-database.js";
import { PageRun, shownCommands } from "./console-page.js";
import { findGrpcurl } from "./find-grpcurl.js";

/** Enough for Go to build grpcurl before the first command. */
const SETUP_LIMIT_MS = 600_000;
/** What the page calls the addresses of its server. */
const ADDRESS = "127.0.0.1:50051";
const SOCKET = "/run/execution-store.sock";

const PAGE = readFileSync(join(import.meta.dirname, "../../docs/grpcurl.md"), "utf8");
const COMMANDS = shownCommands(PAGE);
const COLLECTIONS = [DEFAULT_COLLECTION];

interface OpenEngine {
  readonly engine: WatchableEngine;
  /** Removes what the engine leaves behind. */
  readonly remove: () => Promise<void>;
}

const ENGINES: Record<string, (directory: string) => Promise<OpenEngine>> = {
  LMDB: async (directory) => ({
    engine: await openLmdbEngine({ path: join(directory, "store"), collections: COLLECTIONS }),
    remove: async () => undefined,
  }),
  MongoDB: async () => {
    const database = await createDatabase();
    const engine = await openMongoEngine({ uri: database.uri, collections: COLLECTIONS });
    return { engine, remove: () => database.drop() };
  },
};

/** What a command of a shell prints, on both outputs, with this grpcurl. */
async function output(grpcurl: string, command: string): Promise<string> {
  const script = `exec 2>&1; grpcurl() { "$GRPCURL" "$@"; }\n${command}\n`;
  return new Promise((resolve) => {
    // A call that fails is shown by the page, too; what it prints tells.
    execFile("sh", ["-c", script], { env: { ...process.env, GRPCURL: grpcurl } }, (_error, stdout) =>
      resolve(stdout.trimEnd()),
    );
  });
}

test("the page has a command for every method", () => {
  const text = COMMANDS.map(({ command }) => command).join("\n");
  const names = Object.values(StoreServiceDefinition.methods).map(({ name }) => name);
  expect(names.filter((name) => !text.includes(` execution_store.v1.StoreService/${name}`))).toEqual([]);
});

describe.skipIf(leavesOut("go")).each(Object.keys(ENGINES))("docs/grpcurl.md on %s", (name) => {
  describe.skipIf(name === "MongoDB" && leavesOut("mongodb"))("in order", () => {
    const run = new PageRun();
    let grpcurl = "";
    let address = "";
    let directory = "";
    let server: ReturnType<typeof createGrpcServer> | undefined;
    let opened: OpenEngine | undefined;

    /** With the addresses of this server. */
    function atHome(text: string): string {
      return text.replaceAll(ADDRESS, address).replaceAll(SOCKET, join(directory, "socket"));
    }

    beforeAll(async () => {
      grpcurl = await findGrpcurl();
      directory = mkdtempSync(join(tmpdir(), "execution-store-grpcurl-"));
      opened = await (ENGINES[name] ?? expect.unreachable())(directory);
      server = createGrpcServer({ engine: opened.engine });
      address = await server.listen("127.0.0.1:0");
      await server.listen(`unix:${join(directory, "socket")}`);
    }, SETUP_LIMIT_MS);
    afterAll(async () => {
      await server?.shutdown({ drainMs: 0, graceMs: 0 });
      await opened?.engine.close();
      await opened?.remove();
      rmSync(directory, { recursive: true, force: true });
    });

    test.each(COMMANDS)("line $line: $heading", async ({ command, output: shown }) => {
      const given = await output(grpcurl, atHome(run.toRun(command)));
      const compared = run.inWordsOfPage(atHome(shown), given);
      expect(compared.given).toBe(compared.shown);
    });
  });
});
