import type { StoreLocation } from "../config/store-uri.js";
import { isStoreError, type StoreError } from "../store/errors.js";
import type { Archive, ArchivedDocument, TransferMode, TransferOutcome } from "../store/transfer.js";
import type { Role } from "./copy-problem.js";
import { CopyReport, type Counts, countsOf } from "./copy-report.js";
import { EXIT_CODE_OF, EXIT_CODES } from "./exit-codes.js";
import type { Output } from "./output.js";
import { createProgress, type Progress } from "./progress.js";

/** An engine's documents; disposing of it closes the engine. */
export interface OpenArchive extends AsyncDisposable {
  readonly archive: Archive;
}

const GO_ON = "; what was copied stays, and the same command goes on from there";

/** What to copy. */
export interface CopyRequest {
  readonly source: StoreLocation;
  readonly target: StoreLocation;
  readonly collections: readonly string[];
  /** Whether documents of the target that differ are replaced; else they are left as they are, and reported. */
  readonly overwrite: boolean;
}

/** Opens an engine. A source must be there; a target is made. Throws StoreError or Error, with a sentence. */
export type Open = (
  location: StoreLocation,
  role: Role,
  collections: readonly string[],
  say: (message: string) => void,
  signal: AbortSignal,
) => Promise<OpenArchive>;

/**
 * Copies every live document of the source that the target lacks, then compares all of them again. Resolves to the exit
 * code: success only if everything that could be read is in the target and equal.
 *
 * @param signal ends the copy between two parts; its reason is thrown
 */
export async function copy(
  request: CopyRequest,
  open: Open,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const { collections, overwrite } = request;
  const say = (message: string): void => output.message(message);
  const state: State = { written: "nothing" };
  try {
    await using source = await open(request.source, "source", collections, say, signal);
    await using target = await open(request.target, "target", collections, say, signal);
    const progress = await createProgress(say);
    let complete = true;
    for (const collection of collections) {
      const run = { source: source.archive, target: target.archive, collection, progress, state, signal };
      complete = (await copyCollection(run, overwrite, output)) && complete;
    }
    return complete ? EXIT_CODES.success : EXIT_CODES.fault;
  } catch (error) {
    if (signal.aborted) output.message(`the copy was interrupted${goOn(state, undefined)}`);
    if (signal.aborted || !isStoreError(error)) throw error;
    output.message(`${error.message}${goOn(state, error)}`);
    return EXIT_CODE_OF[error.kind];
  }
}

/** How far a copy is: before the first answer to a write, some of it may be there already. */
interface State {
  written: "nothing" | "maybe" | "some";
}

/** What follows the sentence on the end of a copy. */
function goOn({ written }: State, error: StoreError | undefined): string {
  const refused = error?.reason === "DATABASE_PERMISSION_DENIED";
  return written === "some" || (written === "maybe" && !refused) ? GO_ON : "";
}

/** One collection's way from source to target. */
interface Run {
  readonly source: Archive;
  readonly target: Archive;
  readonly collection: string;
  readonly progress: Progress;
  readonly state: State;
  readonly signal: AbortSignal;
}

/** Answers whether the target has everything. */
async function copyCollection(run: Run, overwrite: boolean, output: Output): Promise<boolean> {
  const { collection } = run;
  const { expired } = await run.source.size(collection, run);
  const report = new CopyReport(collection, output);
  const copied = await pass(run, `copying ${collection}`, overwrite ? "overwrite" : "add", report.note);
  await report.copied(copied, expired);
  const verified = await pass(run, `verifying ${collection}`, "compare");
  return report.verified(verified);
}

/** Takes every document of the source to the target, for copying or for comparing. */
async function pass(
  { source, target, collection, progress, state, signal }: Run,
  step: string,
  mode: TransferMode,
  note: (document: ArchivedDocument, outcome: TransferOutcome) => void = () => undefined,
): Promise<Counts> {
  const counts = countsOf();
  const { documents: total } = await source.size(collection, { signal });
  progress.start(step, total);
  try {
    for await (const { documents, foreign } of source.read(collection, { signal })) {
      counts.foreign += foreign;
      if (state.written === "nothing") state.written = "maybe";
      const outcomes = await target.write(collection, documents, mode, { signal });
      state.written = "some";
      outcomes.forEach((outcome, index) => {
        const document = documents[index];
        counts[typeof outcome === "string" ? outcome : "refused"] += 1;
        if (document !== undefined) note(document, outcome);
      });
      progress.advance(documents.length + foreign);
    }
  } finally {
    progress.end();
  }
  return counts;
}
