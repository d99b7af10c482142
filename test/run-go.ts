import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** One line of what go test -json prints (see go doc test2json). */
interface TestEvent {
  readonly Action: string;
  readonly Package?: string;
  readonly Test?: string;
  readonly Elapsed?: number;
  readonly Output?: string;
}

/** Runs the tests of the Go client and tells how they went as go test does, of those that failed with their output. */
export async function runGoTests(environment: NodeJS.ProcessEnv, reports: string | undefined): Promise<boolean> {
  // The race detector needs a C compiler.
  const race = execFileSync("go", ["env", "CGO_ENABLED"], { encoding: "utf8" }).trim() === "1" ? ["-race"] : [];
  if (race.length === 0) console.log("The Go tests run without the race detector, which needs a C compiler.");
  const go = spawn("go", ["test", "-json", "-count=1", ...race, "./..."], {
    cwd: "clients/go",
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(go, "exit");
  const output = new Map<string, string>();
  for await (const line of createInterface({ input: go.stdout })) {
    if (reports !== undefined) appendFileSync(join(reports, "go.jsonl"), `${line}\n`);
    tell(JSON.parse(line) as TestEvent, output);
  }
  const [code] = (await exited) as [number | null];
  return code === 0;
}

function tell(event: TestEvent, output: Map<string, string>): void {
  const { Action, Package = "", Test, Elapsed = 0, Output = "" } = event;
  const id = `${Package} ${Test ?? ""}`;
  if (Action === "output") output.set(id, (output.get(id) ?? "") + Output);
  if (Action === "build-output") process.stdout.write(Output);
  if (Action === "fail") process.stdout.write(output.get(id) ?? "");
  if (Test === undefined && (Action === "pass" || Action === "fail")) {
    console.log(`${Action === "pass" ? "ok  " : "FAIL"} ${Package} ${Elapsed.toFixed(1)} s`);
  }
}
