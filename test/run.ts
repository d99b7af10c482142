/**
 * npm test: the tests of every language. Those of the clients in other languages run beside vitest, one suite after the
 * other, and are shown after it. Arguments go to vitest, which then runs alone, as in npm test -- test/grpc.
 * EXECUTION_STORE_TEST_REPORTS names a folder for the reports of the runners.
 */
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import { run, type Suite } from "./run-command.js";
import { runGoTests } from "./run-go.js";
import { runFiftyoneTests, runPythonTests } from "./run-python.js";
import { type Part, readLeftOut, WITHOUT } from "./support/left-out.js";
import { type FoundMongodb, findMongodb } from "./support/mongodb/find-mongodb.js";

/** What suites in other languages need on the PATH. */
const TOOLCHAINS = {
  python: { command: "python3", arguments: ["--version"], remedy: "Python 3.9 or newer, with venv and pip" },
  go: { command: "go", arguments: ["version"], remedy: "Go 1.25 or newer, from https://go.dev/dl" },
} as const;
type Language = keyof typeof TOOLCHAINS;
const LANGUAGES = Object.keys(TOOLCHAINS) as Language[];

interface NamedSuite {
  readonly name: string;
  /** The suite is left out with any of these. */
  readonly needs: readonly Part[];
  readonly run: (suite: Suite) => Promise<boolean>;
}

const SUITES: readonly NamedSuite[] = [
  { name: "the Python client", needs: ["python"], run: runPythonTests },
  { name: "the Go client", needs: ["go"], run: runGoTests },
  { name: "FiftyOne on the service", needs: ["python", "fiftyone", "mongodb"], run: runFiftyoneTests },
];

const reports = process.env["EXECUTION_STORE_TEST_REPORTS"];

function runVitest(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<boolean> {
  const report =
    reports === undefined
      ? []
      : ["--reporter=default", "--reporter=json", `--outputFile.json=${join(reports, "typescript.json")}`];
  const vitest = "node_modules/vitest/vitest.mjs";
  return run(process.execPath, [vitest, "run", ...report, ...args], { env: environment });
}

/** The parts that are left out: those that the environment names, and languages that are not there. Throws where CI=true. */
function findLeftOut(): Set<Part> {
  const leftOut = new Set(readLeftOut(process.env));
  for (const language of LANGUAGES.filter((each) => !leftOut.has(each))) {
    const { command, arguments: args, remedy } = TOOLCHAINS[language];
    try {
      execFileSync(command, args, { stdio: "ignore" });
    } catch {
      const missing = `${command} is not on the PATH; install ${remedy}`;
      if (process.env["CI"] === "true") throw new Error(`CI=true leaves no tests out, but ${missing}`);
      console.log(`left out: the tests that need ${language}: ${missing}`);
      leftOut.add(language);
    }
  }
  return leftOut;
}

/** Runs the suites of other languages against servers of this checkout, as it is built. Answers what they said. */
async function runOthers(suites: readonly NamedSuite[], mongodb: FoundMongodb | undefined) {
  const environment = {
    ...process.env,
    EXECUTION_STORE_TEST_SERVER: JSON.stringify([process.execPath, resolve("dist/src/main.js")]),
    ...(mongodb !== undefined && { EXECUTION_STORE_TEST_MONGODB_URI: mongodb.uri }),
  };
  let said = "";
  let passed = true;
  const print = (text: string): void => {
    said += text;
  };
  for (const suite of suites) {
    print(`\n${suite.name}\n`);
    try {
      passed = (await suite.run({ environment, reports, print })) && passed;
    } catch (error) {
      passed = false;
      print(`${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  return { passed, said };
}

async function runAll(): Promise<boolean> {
  const leftOut = findLeftOut();
  const suites = SUITES.filter(({ name, needs }) => {
    const missing = needs.filter((part) => leftOut.has(part));
    if (missing.length > 0) console.log(`left out: the tests of ${name}, without ${missing.join(", ")}`);
    return missing.length === 0;
  });
  if (!(await run("npm", ["run", "--silent", "build"]))) return false;
  const mongodb =
    suites.length === 0 || leftOut.has("mongodb")
      ? undefined
      : await findMongodb(process.env, (line) => console.log(line));
  try {
    const without = [...leftOut].join(",");
    const others = runOthers(suites, mongodb);
    const vitest = await runVitest([], without === "" ? process.env : { ...process.env, [WITHOUT]: without });
    const { passed, said } = await others;
    process.stdout.write(said);
    return passed && vitest;
  } finally {
    await mongodb?.close();
  }
}

const args = process.argv.slice(2);
const passed = args.length > 0 ? await runVitest(args, process.env) : await runAll();
process.exitCode = passed ? 0 : 1;
