// Packs the package and uses it as its users do: from an empty folder, in a plain script, in TypeScript, and by
// its command.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const folder = mkdtempSync(join(tmpdir(), "execution-store-package-"));
const { version, devDependencies } = JSON.parse(readFileSync("package.json", "utf8"));

function run(command, args, options = {}) {
  return execFileSync(command, args, {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    ...options,
  });
}

const SCRIPT = `
import { ExecutionStore, isStoreError } from "execution-store";
const store = ExecutionStore.create("package-check", { address: process.argv[2] });
await store.set("answer", { value: 42n, at: new Date(0) });
const read = await store.get("answer");
if (read.value !== 42 || read.at.getTime() !== 0) throw new Error("read something else than was written");
try {
  await store.set("", 1);
  throw new Error("an empty key was accepted");
} catch (error) {
  if (!isStoreError(error, "INVALID_ARGUMENT")) throw error;
}
await store.close();
console.log("ok");
`;

const TYPESCRIPT = `
import { ExecutionStore, type KeyDocument, type ErrorKind } from "execution-store";
interface Result { readonly width: number }
await using store = ExecutionStore.create("package-check-ts", { address: process.argv[2] ?? "" });
await store.set("image", { width: 640 } satisfies Result);
const result: Result | undefined = await store.get<Result>("image");
const kind: ErrorKind = "NOT_FOUND";
const document: KeyDocument | undefined = await store.service.getKey("package-check-ts", "image");
if (result?.width !== 640 || document?.key !== "image" || kind !== "NOT_FOUND") throw new Error("wrong");
console.log("ok");
`;

async function startServer() {
  const server = spawn(
    "npx",
    ["execution-store", "serve", "--store", "lmdb:data", "--listen", "127.0.0.1:0"],
    {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    },
  );
  for await (const line of createInterface({ input: server.stderr })) {
    const entry = JSON.parse(line);
    if (entry.msg === "serving") return { server, address: entry.addresses[0] };
  }
  throw new Error("the packed server ended before it served");
}

try {
  execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  run("npm", ["install", "--silent", `./execution-store-${version}.tgz`]);
  if (run("npx", ["execution-store", "--version"]).trim() !== version)
    throw new Error("--version says something else");
  const { server, address } = await startServer();
  try {
    writeFileSync(join(folder, "script.js"), SCRIPT);
    run(process.execPath, ["script.js", address]);
    run("npm", [
      "install",
      "--silent",
      `typescript@${devDependencies.typescript}`,
      `@types/node@${devDependencies["@types/node"]}`,
    ]);
    writeFileSync(join(folder, "typed.ts"), TYPESCRIPT);
    const strict = [
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2022",
      "--lib",
      "es2023,esnext.disposable",
    ];
    run("npx", ["tsc", ...strict, "--types", "node", "typed.ts"]);
    run(process.execPath, ["typed.js", address]);
    const printed = run("npx", [
      "execution-store",
      "get",
      "package-check-ts",
      "image",
      "--json",
      "--address",
      address,
    ]);
    if (JSON.parse(printed) === undefined) throw new Error("the command printed nothing");
  } finally {
    process.kill(-server.pid, "SIGTERM");
    await once(server, "exit");
  }
  console.log(`execution-store-${version}.tgz works in a script, in TypeScript and as a command`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
