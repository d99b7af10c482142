import { dirname } from "node:path";
import { type LmdbLocation, shownStore } from "./config/store-uri.js";
import { systemCode } from "./config/system-code.js";

/**
 * Why a directory cannot be opened: the system's errors in words, the engine's own as they are.
 *
 * @param setting what names the directory, such as --store
 */
export function openProblem(store: LmdbLocation, error: unknown, setting: string): string {
  const name = shownStore(store);
  switch (systemCode(error)) {
    case "EACCES":
    case "EPERM":
      return `the store ${name} cannot be opened, since this user may not write there; give it the permission, or choose another ${setting}`;
    case "EROFS":
      return `the store ${name} cannot be opened, since it is on a read-only file system; choose another ${setting}`;
    case "ENOSPC":
      return `the store ${name} cannot be opened, since its disk is full; free some space, or choose another ${setting}`;
    case "ENOTDIR":
    case "EEXIST":
      return `the store ${name} cannot be opened, since ${store.path} or ${dirname(store.path)} is a file; expected a directory, so choose another ${setting}`;
    case undefined:
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
