import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { tryLock } from "fs-native-extensions";
import { StoreError } from "../../store/errors.js";

/** Holds a database directory for this process. */
export interface OwnerLock {
  /** Idempotent. */
  release(): void;
}

function describeOwner(file: string): string {
  try {
    const text = readFileSync(file, "utf8").trim();
    return text === "" ? "another process" : text;
  } catch {
    return "another process";
  }
}

/**
 * Takes a directory for this process. The lock is the kernel's, so that it ends with its process however that
 * ends, and holds between containers that share the directory on one machine.
 *
 * @throws StoreError DIRECTORY_IN_USE if another process, or another engine of this one, holds it
 */
export function lockDirectory(directory: string): OwnerLock {
  const file = join(directory, "owner.lock");
  // Not truncated on opening: until the lock is ours, the text in it is the owner's.
  const fd = openSync(file, "a+", 0o600);
  if (!tryLock(fd)) {
    const owner = describeOwner(file);
    closeSync(fd);
    throw new StoreError(
      "DIRECTORY_IN_USE",
      `the database in ${directory} is in use by ${owner}; stop that one first, or choose another directory`,
    );
  }
  ftruncateSync(fd);
  writeSync(fd, `process ${process.pid} on ${hostname()}\n`);
  let held = true;
  return {
    release() {
      if (held) closeSync(fd);
      held = false;
    },
  };
}
