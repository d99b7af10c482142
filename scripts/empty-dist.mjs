// Empties what is built, so that code whose source is gone is neither run nor published.
import { rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
