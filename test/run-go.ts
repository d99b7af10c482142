import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Suite } from "./run-command.js";

/** One line of what go test -json prints (see go doc test2json). */
interface TestEvent {
  readonly Action: string;
  readonly Package?: string;
  readonly Test?: string;
  readonly Elapsed?: number;
  readonly Output?: string;
}

/** Runs the tests of the Go client and tells how they went as go test does, of those that failed with their output. */
export async function runGoTests({ environment, reports, print }: Suite): Promise<boolean> {
  // The race detector needs a C compiler.
  const race =
    execFileSync("go", ["env", "CGO_ENABLED"], { encoding: "utf8" }).trim() === "1" ? ["-race"] : [];
  if (race.length === 0) print("The Go tests run without the race detector, which needs a C compiler.\n");
  const go = spawn("go", ["test", "-json", "-count=1", ...race, "./..."], {
    cwd: "clients/go",
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  go.stderr.setEncoding("utf8").on("data", print);
  const exited = once(go, "exit");
  const output = new Map<string, string>();
  for await (const line of createInterface({ input: go.stdout })) {
    if (reports !== undefined) appendFileSync(join(reports, "go.jsonl"), `${line}\n`);
    tell(JSON.parse(line) as TestEvent, output, print);
  }
  const [code] = (await exited) as [number | null];
  return code === 0;
}

function tell(event: TestEvent, output: Map<string, string>, print: Suite["print"]): void {
  const { Action, Package = "", Test, Elapsed = 0, Output = "" } = event;
  const id = `${Package} ${Test ?? ""}`;
  if (Action === "output") output.set(id, (output.get(id) ?? "") + Output);
  if (Action === "build-output") print(Output);
  if (Action === "fail") print(output.get(id) ?? "");
  if (Test === undefined && (Action === "pass" || Action === "fail")) {
    print(`${Action === "pass" ? "ok  " : "FAIL"} ${Package} ${Elapsed.toFixed(1)} s\n`);
  }
}
