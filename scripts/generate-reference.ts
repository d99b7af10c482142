// Generates docs/reference.md from the comments of proto/. With --check: compares it with what is there.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { referenceOf } from "./reference-page.js";

const PAGE = "docs/reference.md";
const PROTO = "execution_store/v1/execution_store.proto";
const BUILD = ["build", "--as-file-descriptor-set", "--path", `proto/${PROTO}`, "-o", "-#format=binpb"];

const built = execFileSync(process.execPath, ["node_modules/@bufbuild/buf/bin/buf", ...BUILD], {
  stdio: ["ignore", "pipe", "inherit"],
});
const page = referenceOf(fromBinary(FileDescriptorSetSchema, built), PROTO);
if (!process.argv.includes("--check")) {
  writeFileSync(PAGE, page);
} else if (readFileSync(PAGE, "utf8") !== page) {
  console.error(`${PAGE} is not what the comments of proto/ say; run npm run generate`);
  process.exitCode = 1;
}
