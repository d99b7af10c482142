import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { Guardian } from "./guardian.js";
import { until } from "./until.js";

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function fullDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "execution-store-guarded-"));
  writeFileSync(join(path, "file"), "text");
  return path;
}

test("what a guardian owns goes when its owner is killed", async () => {
  const directory = fullDirectory();
  const program = join(import.meta.dirname, "guarded-process.ts");
  const owner = spawn(process.execPath, ["--import", "tsx", program, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => {
    owner.kill("SIGKILL");
  });
  const [line] = (await once(createInterface({ input: owner.stdout }), "line")) as [string];
  const pid = Number(line);
  expect(isRunning(pid)).toBe(true);
  owner.kill("SIGKILL");
  await until(() => !isRunning(pid) && !existsSync(directory), "process and directory are gone");
});

test("what a guardian owns goes when it is closed, a stopped process too", async () => {
  const directory = fullDirectory();
  const guardian = new Guardian();
  const child = spawn("sleep", ["600"], { stdio: "ignore" });
  guardian.ownDirectory(directory);
  guardian.ownProcess(child);
  const exit = once(child, "exit");
  child.kill("SIGSTOP");
  await guardian.close();
  expect(await exit).toEqual([null, "SIGKILL"]);
  expect(existsSync(directory)).toBe(false);
});
