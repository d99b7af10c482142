import { readFileSync } from "node:fs";

// Linux counts in hundredths of a second on every architecture that Node runs on.
const MS_PER_TICK = 10;

function procFile(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return undefined;
  }
}

/** Processor time that a process has spent, in steps of 10 ms; undefined where there is no /proc. */
export function cpuMs(pid: number): number | undefined {
  // The second field, the command's name in parentheses, may hold spaces; user and system time are 14th and 15th.
  const fields = procFile(pid, "stat")?.split(") ").at(-1)?.split(" ");
  const ticks = Number(fields?.[11]) + Number(fields?.[12]);
  return Number.isFinite(ticks) ? ticks * MS_PER_TICK : undefined;
}

/** Memory of a process that no file backs (RssAnon), in MB of 10^6 bytes; undefined where there is no /proc. */
export function anonymousMegabytes(pid: number): number | undefined {
  const kibibytes = /^RssAnon:\s+(\d+) kB$/m.exec(procFile(pid, "status") ?? "")?.[1];
  return kibibytes === undefined ? undefined : (Number(kibibytes) * 1024) / 1e6;
}
