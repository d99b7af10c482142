import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** A file as the folder shows it, without reading it. */
export interface FoundFile {
  readonly path: string;
  readonly bytes: number;
  /** When it was last written, in ns since 1970: whole numbers, which are written alike in every language. */
  readonly modifiedNs: bigint;
}

/** All regular files below a folder, in a stable order; links are not followed. */
export async function walk(folder: string): Promise<FoundFile[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const found = await Promise.all(
    paths.toSorted().map(async (path) => {
      const { size, mtimeNs } = await stat(path, { bigint: true });
      return { path, bytes: Number(size), modifiedNs: mtimeNs };
    }),
  );
  return found;
}
