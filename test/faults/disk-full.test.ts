import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ExecutionStore, isStoreError } from "execution-store";
import { expect, onTestFinished, test } from "vitest";
import { buildBeforeTests, firstAddress, startServer } from "../cli/cli-process.js";
import { checkLmdb } from "../support/check-lmdb.js";
import { tempDir } from "../support/temp-dir.js";

/** A file system of 8 MiB; undefined where this user may not mount one. */
function smallDisk(): string | undefined {
  const path = tempDir();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", path], { stdio: "ignore" });
  if (mounted.status !== 0) return undefined;
  onTestFinished(() => void spawnSync("umount", ["--lazy", path]));
  return path;
}

buildBeforeTests();

test("a full disk refuses writes in plain words, serves reads, and recovers by itself", async ({ skip }) => {
  const disk = smallDisk();
  if (disk === undefined) {
    skip("no small file system: this user may not mount one");
    return;
  }
  const path = join(disk, "db");
  const ballast = join(disk, "ballast");
  writeFileSync(ballast, Buffer.alloc(4 << 20));
  const server = await startServer(["--store", `lmdb:${path}`, "--listen", "127.0.0.1:0"]);
  onTestFinished(() => server.kill("SIGKILL"));
  await using store = ExecutionStore.create("store", { address: firstAddress(server) });
  const written = new Map<string, string>();
  const errors: unknown[] = [];
  for (let index = 0; index < 400 && errors.length < 5; index += 1) {
    const value = `${index} `.repeat(5000);
    try {
      await store.set(`key-${index}`, value);
      written.set(`key-${index}`, value);
    } catch (error) {
      errors.push(error);
    }
  }
  expect(errors).toHaveLength(5);
  for (const error of errors) {
    expect(isStoreError(error, "STORAGE_FULL")).toBe(true);
    expect(error).toMatchObject({ message: expect.stringContaining("free space") as string });
  }
  expect(written.size).toBeGreaterThan(5);
  for (const [key, value] of written) expect(await store.get(key)).toBe(value);
  rmSync(ballast);
  await store.set("after", "room again");
  expect(await store.get("after")).toBe("room again");
  for (const [key, value] of written) expect(await store.get(key)).toBe(value);
  server.kill("SIGTERM");
  expect(await server.ended).toMatchObject({ code: 0 });
  expect((await checkLmdb(path)).documents).toBeGreaterThan(written.size);
});
