import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { afterAll, onTestFinished } from "vitest";
import { preparePythonTools } from "../../scripts/python-tools.js";
import { leavesOut } from "../support/left-out.js";

const ROOT = join(import.meta.dirname, "../..");

/** What the worker is written in. */
export type Language = "typescript" | "python" | "go";

/** The languages whose workers can run here. */
export const LANGUAGES: readonly Language[] = (["typescript", "python", "go"] as const).filter(
  (language) => language === "typescript" || !leavesOut(language),
);

/** Pairs of different languages; one more makes all of them appear on both sides. */
export const NEIGHBOURS: readonly (readonly [Language, Language])[] = LANGUAGES.map((language, index) => [
  language,
  LANGUAGES[(index + 1) % LANGUAGES.length] ?? language,
]);

/** A worker's process. */
export type WorkerProcess = ChildProcessByStdio<null, Readable, Readable>;

/** How a worker ended. */
export interface WorkerResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the worker of a language. */
export type StartWorker = (language: Language, args: readonly string[]) => WorkerProcess;

/** Makes the workers of a test file ready to be started: that of Go is compiled. Call it before all tests. */
export async function prepareWorkers(): Promise<StartWorker> {
  const folder = await mkdtemp(join(tmpdir(), "execution-store-workers-"));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const commands: Record<Language, readonly string[]> = {
    typescript: [process.execPath, "--import", "tsx", join(ROOT, "examples/typescript/main.ts")],
    python: ["python", join(ROOT, "examples/python/main.py")],
    go: [join(folder, "worker")],
  };
  if (LANGUAGES.includes("python"))
    commands.python = [await preparePythonTools(), ...commands.python.slice(1)];
  if (LANGUAGES.includes("go")) {
    await promisify(execFile)("go", ["build", "-o", join(folder, "worker"), "."], {
      cwd: join(ROOT, "examples/go"),
    });
  }
  return (language, args) => {
    const [command = "", ...first] = commands[language];
    const worker = spawn(command, [...first, ...args], {
      cwd: ROOT,
      env: { ...process.env, PYTHONPATH: join(ROOT, "clients/python/src"), PYTHONDONTWRITEBYTECODE: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    onTestFinished(() => void worker.kill("SIGKILL"));
    return worker;
  };
}

/** Waits for a worker's end. */
export async function resultOf(worker: WorkerProcess): Promise<WorkerResult> {
  const [stdout, stderr, [code]] = await Promise.all([
    text(worker.stdout),
    text(worker.stderr),
    once(worker, "close") as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}
