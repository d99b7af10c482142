/**
 * npm test: the tests of every language, one suite after the other. Arguments go to vitest, which then runs alone, as in
 * npm test -- test/grpc. EXECUTION_STORE_TEST_REPORTS names a folder for the reports of the runners.
 */
import { execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { preparePythonTools } from "../scripts/python-tools.js";
import { runGoTests } from "./run-go.js";
import { readLeftOut, WITHOUT } from "./support/left-out.js";
import { type FoundMongodb, findMongodb } from "./support/mongodb/find-mongodb.js";

/** What a suite in another language needs on the PATH. */
const TOOLCHAINS = {
  python: { command: "python3", arguments: ["--version"], remedy: "Python 3.9 or newer, with venv and pip" },
  go: { command: "go", arguments: ["version"], remedy: "Go 1.25 or newer, from https://go.dev/dl" },
} as const;
type Language = keyof typeof TOOLCHAINS;

const reports = process.env["EXECUTION_STORE_TEST_REPORTS"];

/** Runs a command to its end and answers whether it succeeded. */
async function succeeds(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<boolean> {
  const child = spawn(command, args, { stdio: "inherit", ...options });
  const [code] = (await once(child, "exit")) as [number | null];
  return code === 0;
}

function runVitest(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<boolean> {
  const report =
    reports === undefined
      ? []
      : ["--reporter=default", "--reporter=json", `--outputFile.json=${join(reports, "typescript.json")}`];
  const vitest = "node_modules/vitest/vitest.mjs";
  return succeeds(process.execPath, [vitest, "run", ...report, ...args], { env: environment });
}

async function runPytest(environment: NodeJS.ProcessEnv): Promise<boolean> {
  const report = reports === undefined ? [] : [`--junitxml=${resolve(reports, "python.xml")}`];
  return succeeds(await preparePythonTools(), ["-m", "pytest", "-q", ...report], {
    cwd: "clients/python",
    env: environment,
  });
}

/** The languages whose tests run, after a word on each that is left out and why. Throws where CI=true. */
function presentLanguages(): Set<Language> {
  const leftOut = readLeftOut(process.env);
  const present = new Set<Language>();
  for (const language of Object.keys(TOOLCHAINS) as Language[]) {
    if (leftOut.has(language)) {
      console.log(`left out: the tests of the ${language} client, as ${WITHOUT} asks`);
      continue;
    }
    const { command, arguments: args, remedy } = TOOLCHAINS[language];
    try {
      execFileSync(command, args, { stdio: "ignore" });
      present.add(language);
    } catch {
      const missing = `the tests of the ${language} client: ${command} is not on the PATH; install ${remedy}`;
      if (process.env["CI"] === "true") throw new Error(`CI=true leaves nothing out, but cannot run ${missing}`);
      console.log(`left out: ${missing}`);
    }
  }
  return present;
}

/** Runs the suites of other languages against servers of this checkout, as it is built. */
async function runClients(present: ReadonlySet<Language>, mongodb: FoundMongodb | undefined): Promise<boolean> {
  const environment = {
    ...process.env,
    EXECUTION_STORE_TEST_SERVER: JSON.stringify([process.execPath, resolve("dist/src/main.js")]),
    ...(mongodb !== undefined && { EXECUTION_STORE_TEST_MONGODB_URI: mongodb.uri }),
  };
  let passed = true;
  if (present.has("python")) passed = (await runPytest(environment)) && passed;
  if (present.has("go")) passed = (await runGoTests(environment, reports)) && passed;
  return passed;
}

async function runAll(): Promise<boolean> {
  const present = presentLanguages();
  const missing = (Object.keys(TOOLCHAINS) as Language[]).filter((language) => !present.has(language));
  const without = [...new Set([...readLeftOut(process.env), ...missing])].join(",");
  if (!(await succeeds("npm", ["run", "--silent", "build"]))) return false;
  const vitest = await runVitest([], without === "" ? process.env : { ...process.env, [WITHOUT]: without });
  if (present.size === 0) return vitest;
  const mongodb = readLeftOut(process.env).has("mongodb")
    ? undefined
    : await findMongodb(process.env, (line) => console.log(line));
  try {
    return (await runClients(present, mongodb)) && vitest;
  } finally {
    await mongodb?.close();
  }
}

const args = process.argv.slice(2);
const passed = args.length > 0 ? await runVitest(args, process.env) : await runAll();
process.exitCode = passed ? 0 : 1;
