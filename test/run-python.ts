import { writeFile } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import { execute, preparePython } from "../scripts/python-environment.js";
import { preparePythonTools } from "../scripts/python-tools.js";
import { FIFTYONE_VERSION, findPython } from "./fiftyone/python-environment.js";
import { run, type Suite } from "./run-command.js";
import { findMongod } from "./support/mongodb/mongod-binary.js";

const DIRECTORY = "clients/python";
/** What the client and its tests need beside FiftyOne; the versions of requirements-dev.txt. */
const BESIDE_FIFTYONE = ["grpcio==1.76.0", "protobuf==6.33.6", "pytest==8.4.2", "pytest-timeout==2.4.0"];

/** Runs the tests of the Python client. */
export async function runPythonTests({ environment, reports, print }: Suite): Promise<boolean> {
  const report = reports === undefined ? [] : [`--junitxml=${resolve(reports, "python.xml")}`];
  const python = await preparePythonTools();
  return run(python, ["-m", "pytest", "-q", ...report], { cwd: DIRECTORY, env: environment, print });
}

/** Runs the tests of FiftyOne on the service, by the real FiftyOne. */
export async function runFiftyoneTests({ environment, reports, print }: Suite): Promise<boolean> {
  const report = reports === undefined ? [] : [`--junitxml=${resolve(reports, "fiftyone.xml")}`];
  const source = [resolve(DIRECTORY, "src"), environment["PYTHONPATH"]].filter(Boolean).join(delimiter);
  const args = ["-m", "pytest", "-q", "-p", "no:cacheprovider", ...report, "tests/fiftyone"];
  return run(await prepareFiftyone(), args, {
    cwd: DIRECTORY,
    env: {
      ...environment,
      PYTHONPATH: source,
      EXECUTION_STORE_TEST_MONGOD: (await findMongod()).path,
    },
    print,
  });
}

/** A Python with what the client needs, which sees the packages of the FiftyOne that is installed once. */
async function prepareFiftyone(): Promise<string> {
  const fiftyone = await findPython();
  const versions = BESIDE_FIFTYONE.map((each) => each.replace(/^.*==/, "")).join("-");
  const name = `fiftyone-${FIFTYONE_VERSION}-client-${versions}`;
  const python = await preparePython({ name, install: BESIDE_FIFTYONE, python: fiftyone });
  await writeFile(join(await packagesOf(python), "fiftyone-packages.pth"), `${await packagesOf(fiftyone)}\n`);
  return python;
}

/** Where an environment keeps its packages. */
async function packagesOf(python: string): Promise<string> {
  return (await execute(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")).trim();
}
