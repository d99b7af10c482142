import { arch, cpus, loadavg, platform, release, totalmem } from "node:os";

/** Where figures were measured. */
export interface Machine {
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cpuCount: number;
  readonly memoryMegabytes: number;
  /** Where the databases were. */
  readonly directory: string;
  /** Of the minute before, by the system: other work on the machine disturbs every figure. */
  readonly loadAverage: number;
}

/** This machine, now. */
export function machineOf(directory: string): Machine {
  const [loadAverage = 0] = loadavg();
  return {
    node: process.version,
    platform: `${platform()} ${release()} ${arch()}`,
    cpu: cpus()[0]?.model ?? "unknown",
    cpuCount: cpus().length,
    memoryMegabytes: Math.round(totalmem() / 1e6),
    directory,
    loadAverage,
  };
}
