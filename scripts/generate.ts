// Generates gen/ from proto/, without the schema registry. With --check: into a temporary folder, and compares it with gen/.
import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { preparePythonTools } from "./python-tools.js";

/** What lies in gen/ without being generated: Go takes a folder for a module by these. */
const KEPT = ["gen/go/go.mod", "gen/go/go.sum"];
const PROTO = "execution_store/v1/execution_store.proto";
const PYTHON_PACKAGE = "gen/python/execution_store/v1";

function buf(args: readonly string[], environment: NodeJS.ProcessEnv = process.env): void {
  execFileSync(process.execPath, ["node_modules/@bufbuild/buf/bin/buf", ...args], {
    stdio: "inherit",
    env: environment,
  });
}

async function generateInto(root: string): Promise<void> {
  buf(["generate", "-o", root]);
  buf(["build", "-o", join(root, "gen/descriptor_set.binpb")]);
  const python = await preparePythonTools();
  const path = `${dirname(python)}${delimiter}${process.env["PATH"] ?? ""}`;
  buf(["generate", "--template", "buf.gen.clients.yaml", "-o", root], { ...process.env, PATH: path });
  // Buf has no name for this plugin, which lives inside protoc of grpcio-tools.
  const out = join(root, "gen/python");
  execFileSync(python, ["-m", "grpc_tools.protoc", "-Iproto", `--grpc_python_out=${out}`, PROTO], {
    stdio: "inherit",
  });
  writeFileSync(join(root, PYTHON_PACKAGE, "__init__.py"), "");
  // Python code for google.rpc would clash with that of googleapis-common-protos, where this is installed.
  const types = ["status", "error_details"].flatMap((name) => ["--path", `proto/google/rpc/${name}.proto`]);
  buf(["build", ...types, "-o", join(root, PYTHON_PACKAGE, "error_details.binpb")]);
  for (const name of KEPT) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    cpSync(name, join(root, name));
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => !name.includes("__pycache__") && statSync(join(folder, name)).isFile())
    .toSorted();
}

function difference(made: string, committed: string): string[] {
  const names = new Set([...filesBelow(made), ...filesBelow(committed)]);
  return [...names].filter((name) => {
    try {
      return !readFileSync(join(made, name)).equals(readFileSync(join(committed, name)));
    } catch {
      return true; // in one of the two only
    }
  });
}

const root = mkdtempSync(join(tmpdir(), "execution-store-generate-"));
try {
  await generateInto(root);
  if (process.argv.includes("--check")) {
    const changed = difference(join(root, "gen"), "gen");
    if (changed.length > 0) {
      console.error(`gen/ is not what proto/ generates; run npm run generate:\n  ${changed.join("\n  ")}`);
      process.exitCode = 1;
    }
  } else {
    rmSync("gen", { recursive: true, force: true });
    cpSync(join(root, "gen"), "gen", { recursive: true });
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
