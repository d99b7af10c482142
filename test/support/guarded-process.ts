/** A program for tests: owns a process and a directory by a guardian, prints the process's id, and waits. */
import { spawn } from "node:child_process";
import { Guardian } from "./guardian.js";

const guardian = new Guardian();
const child = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
guardian.ownProcess(child);
guardian.ownDirectory(process.argv[2] ?? "");
console.log(child.pid);
setInterval(() => {}, 60_000);
