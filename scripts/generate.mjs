// Generates gen/ from proto/, offline. With --check: into a temporary folder, and compares it with gen/.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const check = process.argv.includes("--check");

function buf(...args) {
  execFileSync(process.execPath, ["node_modules/@bufbuild/buf/bin/buf", ...args], { stdio: "inherit" });
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => relative(folder, path))
    .toSorted();
}

function difference(made, committed) {
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
  buf("generate", "-o", root);
  buf("build", "-o", join(root, "gen/descriptor_set.binpb"));
  if (check) {
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
