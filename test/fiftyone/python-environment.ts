import { execute, preparePython, reasonOf } from "../../scripts/python-environment.js";

/** The release that the tests hold the service against. */
export const FIFTYONE_VERSION = "1.22.1";
/** The path of a Python that has this release already. */
export const PYTHON = "EXECUTION_STORE_TEST_PYTHON";

const INSTRUCTIONS = `These tests need FiftyOne ${FIFTYONE_VERSION}. Provide one of:
  1. python3 (3.10 or newer) with venv and pip, and a package index: it is installed once, for you (Debian: apt install python3-venv)
  2. ${PYTHON}=/path/to/python   of an environment with fiftyone==${FIFTYONE_VERSION}
or leave them out: EXECUTION_STORE_TEST_WITHOUT=fiftyone`;

/**
 * The path of a Python that has FiftyOne: the one that the environment names, else that of a virtual environment in
 * the user's cache. Throws with instructions.
 */
export async function findPython(environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const named = environment[PYTHON];
  try {
    const python =
      named ||
      (await preparePython(
        { name: `fiftyone-${FIFTYONE_VERSION}`, install: [`fiftyone==${FIFTYONE_VERSION}`] },
        environment,
      ));
    await checkVersion(python);
    return python;
  } catch (error) {
    throw new Error(`${INSTRUCTIONS}\nTried in vain: ${reasonOf(error)}`, { cause: error });
  }
}

async function checkVersion(python: string): Promise<void> {
  const script = "import importlib.metadata; print(importlib.metadata.version('fiftyone'))";
  const version = (await execute(python, "-c", script)).trim();
  if (version !== FIFTYONE_VERSION) {
    throw new Error(`${python} has FiftyOne ${version}; expected ${FIFTYONE_VERSION}`);
  }
}
