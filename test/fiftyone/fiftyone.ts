import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { devNull } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { EJSON } from "bson";
import { findPython } from "./python-environment.js";

const BRIDGE = join(import.meta.dirname, "bridge.py");
const START_LIMIT_MS = 120_000;
const KEPT_LINES = 40;

/** An exception of Python's. */
export class PythonError extends Error {
  override readonly name = "PythonError";
  /** The name of its class. */
  readonly type: string;

  constructor(type: string, message: string) {
    super(`${type}: ${message}`);
    this.type = type;
  }
}

/** How a FiftyOne is started. */
export interface FiftyOneOptions {
  readonly uri: string;
  /** The name of the database. */
  readonly name: string;
  /** More variables of the environment. @default none */
  readonly variables?: Readonly<Record<string, string>>;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** The environment without the user's settings of FiftyOne. */
function withoutFiftyOne(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("FIFTYONE_")));
}

/** A Python process with FiftyOne in it; see bridge.py. */
export class FiftyOne implements AsyncDisposable {
  readonly #child: ChildProcess;
  /** In the order of the commands, which Python answers one after the other. */
  readonly #waiting: Waiting[] = [];
  readonly #said: string[] = [];
  /** Why there are no more answers. */
  #end: Error | undefined;

  private constructor(python: string, { uri, name, variables = {} }: FiftyOneOptions) {
    this.#child = spawn(python, ["-u", BRIDGE], {
      stdio: ["pipe", "pipe", "pipe"],
      env: {
        ...withoutFiftyOne(process.env),
        // No file: the user's own settings are not those of the tests.
        FIFTYONE_CONFIG_PATH: devNull,
        FIFTYONE_DATABASE_URI: uri,
        FIFTYONE_DATABASE_NAME: name,
        FIFTYONE_DO_NOT_TRACK: "true",
        PYTHONDONTWRITEBYTECODE: "1",
        ...variables,
      },
    });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error("the Python process has no output");
    createInterface({ input: stdout }).on("line", (line) => this.#settle(line));
    createInterface({ input: stderr }).on("line", (line) => {
      this.#said.push(line);
      if (this.#said.length > KEPT_LINES) this.#said.shift();
    });
    this.#child.once("error", (error) => this.#fail(error));
    // The end of the process says more than the pipe's.
    this.#child.stdin?.on("error", () => {});
    this.#child.once("exit", (code, signal) =>
      this.#fail(new Error(`Python ended with ${signal ?? code}:\n${this.#said.join("\n")}`)),
    );
  }

  /** Starts it and waits until it answers. */
  static async start(options: FiftyOneOptions): Promise<FiftyOne> {
    const fiftyOne = new FiftyOne(await findPython(), options);
    const limit = setTimeout(() => fiftyOne.#child.kill("SIGKILL"), START_LIMIT_MS);
    try {
      await fiftyOne.call("sample_names");
      return fiftyOne;
    } finally {
      clearTimeout(limit);
    }
  }

  /** Runs a command of bridge.py. Rejects with PythonError where Python raised. */
  call<T = unknown>(command: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#end);
      this.#waiting.push({ resolve: (result) => resolve(result as T), reject });
      const request = EJSON.stringify({ command, ...parameters }, { relaxed: false });
      this.#child.stdin?.write(`${request}\n`);
    });
  }

  /** Ends the process and waits for it. Idempotent. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.stdin?.end();
    await exit;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #settle(line: string): void {
    const waiting = this.#waiting.shift();
    const { result, error } = EJSON.parse(line) as {
      result?: unknown;
      error?: { type: string; message: string };
    };
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new PythonError(error.type, error.message));
  }

  #fail(error: Error): void {
    this.#end = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
