import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { preparePythonTools } from "../../scripts/python-tools.js";
import { type Child, startChild } from "../children.js";
import type { Language } from "./clients-options.js";
import { clientLoad } from "./load-plan.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** How a client of a language is called: one process each. */
export interface Manner {
  readonly language: Language;
  /** For people. */
  readonly name: string;
  /** Threads, tasks or goroutines that call at once. */
  readonly atOnce: number;
  /** Of Python: by asyncio instead of threads. */
  readonly asyncio: boolean;
  /** Whether it reads of mirrors and watches, too, which one of each language does. */
  readonly watches: boolean;
}

const threads = { asyncio: false, watches: false };

/** Every way of calling that is measured. */
export const MANNERS: readonly Manner[] = [
  { ...threads, language: "typescript", name: "TypeScript, one at a time", atOnce: 1, watches: true },
  { ...threads, language: "typescript", name: "TypeScript, 64 at once", atOnce: 64 },
  { ...threads, language: "python", name: "Python, one thread", atOnce: 1, watches: true },
  { ...threads, language: "python", name: "Python, 8 threads", atOnce: 8 },
  { ...threads, language: "python", name: "Python, asyncio, 64 tasks", atOnce: 64, asyncio: true },
  { ...threads, language: "go", name: "Go, one goroutine", atOnce: 1, watches: true },
  { ...threads, language: "go", name: "Go, 64 goroutines", atOnce: 64 },
];

function here(file: string): string {
  return join(import.meta.dirname, file);
}

/** Builds the program of the Go client that loads servers, and is the empty server. Throws with instructions. */
export function buildGoProgram(directory: string): string {
  const program = join(directory, "bench");
  try {
    execFileSync("go", ["-C", join(ROOT, "clients/go"), "build", "-o", program, "./internal/bench"], {
      stdio: ["ignore", "inherit", "inherit"],
    });
  } catch (error) {
    throw new Error("The bench of clients needs Go, and the Go client has to compile.", { cause: error });
  }
  return program;
}

type Messages = Readonly<Record<string, readonly Buffer[]>>;

function inBase64(messages: Messages): Record<string, readonly string[]> {
  return Object.fromEntries(
    Object.entries(messages).map(([path, all]) => [path, all.map((message) => message.toString("base64"))]),
  );
}

/** Starts the empty server, which answers these encoded messages, by the path of their method. */
export function startEcho(
  program: string,
  directory: string,
  { answers, streams }: { readonly answers: Messages; readonly streams: Messages },
): Promise<Child> {
  const file = join(directory, "echo-plan.json");
  writeFileSync(file, JSON.stringify({ answers: inBase64(answers), streams: inBase64(streams) }));
  return startChild("the empty server", ["echo", file], program);
}

/** A manner of calling, with the process that calls so. */
export interface Loader {
  readonly manner: Manner;
  /** Shared by the manners of a language, but for asyncio. */
  readonly child: Child;
}

/** Has every one of them call a server for a while, since code that was just started is not compiled yet. */
export async function warmUp(loaders: readonly Loader[], { port }: Child, ms: number): Promise<void> {
  for (const { manner, child } of loaders) {
    for (const call of ["get", "set"] as const) {
      const request = { server: `127.0.0.1:${port}`, by: "client", values: true, call, ms } as const;
      await clientLoad(child, { ...request, atOnce: manner.atOnce });
    }
  }
}

/** Starts the processes that load servers, with a plan in a file. */
export async function startLoaders(
  languages: readonly Language[],
  goProgram: string,
  plan: string,
): Promise<readonly Loader[]> {
  const children = new Map<string, Child>();
  const loaders: Loader[] = [];
  for (const manner of MANNERS.filter(({ language }) => languages.includes(language))) {
    const name = `the program of ${manner.language}${manner.asyncio ? " with asyncio" : ""}`;
    const child = children.get(name) ?? (await startLoader(name, manner, goProgram, plan));
    children.set(name, child);
    loaders.push({ manner, child });
  }
  return loaders;
}

async function startLoader(name: string, manner: Manner, goProgram: string, plan: string): Promise<Child> {
  if (manner.language === "go") return startChild(name, ["load", plan], goProgram);
  if (manner.language === "typescript") {
    return startChild(name, ["--import", "tsx", here("typescript-load.ts"), plan]);
  }
  const args = [here("python_load.py"), manner.asyncio ? "asyncio" : "threads", plan];
  return startChild(name, args, await preparePythonTools());
}
