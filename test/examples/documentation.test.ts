import { execFile } from "node:child_process";
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { preparePythonTools } from "../../scripts/python-tools.js";
import { leavesOut } from "../support/left-out.js";
import { tempDir } from "../support/temp-dir.js";
import { startLmdbServer } from "./lmdb-server.js";

const ROOT = join(import.meta.dirname, "../..");
const run = promisify(execFile);

function readPage(name: string): string {
  return readFileSync(join(ROOT, "docs", name), "utf8");
}

/** Whether a page names a method where it is set as code. */
function expectNamed(page: string, methods: readonly string[]): void {
  const prose = page.replaceAll(/^```.*?^```$/gms, "");
  const words = new Set(
    Array.from(prose.matchAll(/`([^`]+)`/g), ([, span = ""]) => span.split(/\W+/)).flat(),
  );
  for (const method of methods) expect(words).toContain(method);
}

/** The code of a page, block by block, in its order. */
function codeBlocks(page: string, language: string): string[] {
  const blocks = Array.from(page.matchAll(/^```(\w+)\n(.*?)^```$/gms), ([, is = "", code = ""]) => [
    is,
    code,
  ]);
  for (const [is] of blocks) expect(is).toBe(language);
  return blocks.map(([, code = ""]) => code);
}

async function startStore(): Promise<NodeJS.ProcessEnv> {
  return { ...process.env, EXECUTION_STORE_ADDRESS: await startLmdbServer() };
}

/** What the comments behind lines that print say is printed, where they do. */
function promised(blocks: readonly string[], comment: string): string[] {
  const print = new RegExp(`Println?\\(.*${comment} (.*)|print\\(.*${comment} (.*)`, "g");
  const said = Array.from(blocks.join("\n").matchAll(print), ([, go, python]) => go ?? python ?? "");
  return said.filter((text) => !/no call|NOT_APPLIED, or/.test(text));
}

test.skipIf(leavesOut("python"))(
  "the Python page's code runs and prints what it says",
  { timeout: 60_000 },
  async () => {
    const blocks = codeBlocks(readPage("python.md"), "python");
    const file = join(tempDir(), "page.py");
    writeFileSync(file, ["def train(): print('training')", ...blocks].join("\n"));
    const { stdout, stderr } = await run(await preparePythonTools(), [file], {
      env: {
        ...(await startStore()),
        PYTHONPATH: join(ROOT, "clients/python/src"),
        PYTHONDONTWRITEBYTECODE: "1",
      },
    });
    expect(stderr).toBe("");
    const said = promised(blocks, "#");
    expect(said).toContain("{'width': 640, 'mean': 0.5} None");
    const lines = stdout.split("\n");
    for (const line of [
      ...said,
      "training",
      "existing image-17 {'width': 640, 'mean': 0.5}",
      "0 None",
      "image-99",
    ]) {
      expect(lines).toContain(line);
    }
  },
);

/** The statements of a page, each block inside of those before it, so that names may be declared anew. */
function goProgram(blocks: readonly string[]): string {
  const types = blocks.filter((block) => block.startsWith("type "));
  const statements = blocks.filter((block) => !types.includes(block));
  return `package main
import ("context"; "errors"; "fmt"; "time"; executionstore "github.com/execution-store/execution-store/clients/go")
${types.join("\n")}
func train() { fmt.Println("training") }
func page(ctx context.Context) error {
${statements.join("{\n")}
${"}".repeat(statements.length - 1)}
return nil
}
func main() { if err := page(context.Background()); err != nil { panic(err) } }
`;
}

test.skipIf(leavesOut("go"))(
  "the Go page's code runs and prints what it says",
  { timeout: 600_000 }, // where nothing is compiled yet, the gRPC library is, too
  async () => {
    const blocks = codeBlocks(readPage("go.md"), "go");
    const folder = tempDir();
    writeFileSync(join(folder, "main.go"), goProgram(blocks));
    const module = readFileSync(join(ROOT, "examples/go/go.mod"), "utf8");
    writeFileSync(join(folder, "go.mod"), module.replaceAll(/=> \.\.\/\.\.(.*)/g, `=> "${ROOT}$1"`));
    copyFileSync(join(ROOT, "examples/go/go.sum"), join(folder, "go.sum"));
    await run("go", ["build", "-o", "page", "."], { cwd: folder });
    const { stdout, stderr } = await run(join(folder, "page"), { env: await startStore() });
    expect(stderr).toBe("");
    const said = promised(blocks, "//");
    expect(said).toContain("640 <nil>");
    const lines = stdout.split("\n");
    for (const line of [...said, "training", "image-17", "existing image-17 640", "0  true"]) {
      expect(lines).toContain(line);
    }
  },
);

/** The public methods of the Python client's two classes. */
const PYTHON_METHODS = `
import execution_store as client
for cls in (client.ExecutionStore, client.ExecutionStoreService):
    print(*(name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))), sep="\\n")
`;

test.skipIf(leavesOut("python"))("the Python page names every method", async () => {
  const { stdout } = await run(await preparePythonTools(), ["-c", PYTHON_METHODS], {
    env: { ...process.env, PYTHONPATH: join(ROOT, "clients/python/src") },
  });
  const methods = stdout.trim().split("\n");
  expect(methods).toContain("set_if_absent");
  expectNamed(readPage("python.md"), methods);
});

test("the Go page names every method", () => {
  const folder = join(ROOT, "clients/go");
  const source = readdirSync(folder)
    .filter((name) => name.endsWith(".go") && !name.endsWith("_test.go"))
    .map((name) => readFileSync(join(folder, name), "utf8"))
    .join("\n");
  const declared = source.matchAll(/^func (?:\(\w+ \*(?:Store|Service)\) )?([A-Z]\w*)\[?[\w ]*\]?\(/gm);
  // Options are many, and the reference of the package.
  const methods = Array.from(declared, ([, name = ""]) => name).filter(
    (name) => !/^With|^Default|^No|Name$|ID$/.test(name),
  );
  expect(methods).toContain("SetIfAbsent");
  expectNamed(readPage("go.md"), methods);
});

/** The anchor that a page's reader gives a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");
}

test.each(["python.md", "go.md", "typescript.md"])("the links of %s lead somewhere", (name) => {
  const page = readPage(name).replaceAll(/^```.*?^```$|`[^`]*`/gms, "");
  const links = Array.from(page.matchAll(/\]\((?!https:)([^)#]*)(#[^)]*)?\)/g), ([, file = "", anchor]) => ({
    file: file === "" ? join(ROOT, "docs", name) : join(ROOT, "docs", file),
    anchor,
  }));
  expect(links.length).toBeGreaterThan(1);
  for (const { file, anchor } of links) {
    expect(existsSync(file), file).toBe(true);
    if (anchor === undefined) continue;
    const headings = Array.from(readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm), ([, text = ""]) =>
      anchorOf(text),
    );
    expect(headings, `${dirname(file)} ${anchor}`).toContain(anchor.slice(1));
  }
});
