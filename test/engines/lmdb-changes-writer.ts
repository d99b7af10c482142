/**
 * A process that writes at random and follows its own changes, until it is killed. Arguments: the directory and a
 * seed. Every line it prints is a change that it was told of: its place, key, types and etag.
 */
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { writeSideBySide } from "../conformance/changes/random-traffic.js";
import { Choices } from "../race/random.js";
import { changeLine } from "./change-line.js";

const [path = "", seed = "0"] = process.argv.slice(2);
const NEEDS = { previous: true };

async function follow(): Promise<void> {
  const engine = await openLmdbEngine({ path, collections: [DEFAULT_COLLECTION] });
  const source = engine.changes(DEFAULT_COLLECTION);
  const start = await source.now(NEEDS);
  process.stdout.write(`started ${start.history} ${start.position}\n`);
  void writeSideBySide(engine, new Choices(Number(seed)), 8, Number.POSITIVE_INFINITY);
  for await (const { changes } of source.read(start, NEEDS, new AbortController().signal)) {
    process.stdout.write(changes.map((change) => `${changeLine(change)}\n`).join(""));
  }
}

void follow();
