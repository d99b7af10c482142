// Puts what the compiler does not copy beside the compiled code: the descriptors that reflection serves.
import { chmodSync, copyFileSync, mkdirSync } from "node:fs";

mkdirSync("dist/gen", { recursive: true });
copyFileSync("gen/descriptor_set.binpb", "dist/gen/descriptor_set.binpb");
chmodSync("dist/src/main.js", 0o755);
