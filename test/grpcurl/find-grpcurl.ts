import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { execute, reasonOf } from "../../scripts/python-environment.js";

/** Names a grpcurl to test with. */
const VARIABLE = "EXECUTION_STORE_TEST_GRPCURL";
/** Pins grpcurl among the tools of the Go client. */
const TOOLS = join(import.meta.dirname, "../../clients/go/tools");

async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * The path of a grpcurl: the one that EXECUTION_STORE_TEST_GRPCURL names, else the first on the PATH, else the one
 * that Go builds, which takes minutes where it was never built. Throws with instructions.
 */
export async function findGrpcurl(environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const named = environment[VARIABLE];
  if (named) {
    if (await isProgram(named)) return named;
    throw new Error(`${VARIABLE} names ${named}, which is no program; correct or unset it`);
  }
  for (const folder of (environment["PATH"] ?? "").split(delimiter).filter(Boolean)) {
    const path = join(folder, "grpcurl");
    if (await isProgram(path)) return path;
  }
  try {
    const path = (await execute("go", "-C", TOOLS, "tool", "-n", "grpcurl")).trim();
    if (await isProgram(path)) return path;
    throw new Error(`go tool named ${path}, which is no program`);
  } catch (error) {
    throw new Error(
      `This needs grpcurl on the PATH (or named by ${VARIABLE}), or Go, which builds it.
Tried in vain: ${reasonOf(error)}`,
      { cause: error },
    );
  }
}
