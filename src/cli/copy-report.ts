import type { ArchivedDocument, Refusal, TransferOutcome } from "../store/transfer.js";
import { printJsonString } from "./names.js";
import type { Output } from "./output.js";
import { count } from "./progress.js";

/** Documents by what became of them, and what was passed over. */
export type Counts = Record<Exclude<TransferOutcome, Refusal> | "refused" | "foreign", number>;

/** Nothing yet. */
export function countsOf(): Counts {
  return { same: 0, differs: 0, missing: 0, created: 0, replaced: 0, expired: 0, refused: 0, foreign: 0 };
}

/** Documents that differ are named up to this number: there may be as many as there are documents. */
const NAMED_DIFFERENCES = 20;

/** Says what became of one collection: counts on stdout, each document that is not in the target on stderr. */
export class CopyReport {
  readonly #refusals: string[] = [];
  readonly #differences: string[] = [];
  #left = 0;

  constructor(
    private readonly collection: string,
    private readonly output: Output,
  ) {}

  /** Hears of each document of the copy. */
  readonly note = (document: ArchivedDocument, outcome: TransferOutcome): void => {
    if (typeof outcome !== "string") this.#refusals.push(`${nameOf(document)}: ${outcome.refused}`);
    else if (outcome === "differs" && this.#differences.length < NAMED_DIFFERENCES)
      this.#differences.push(nameOf(document));
  };

  /** Tells about the copy; `expired` documents were on the source's disk when it began. */
  async copied(counts: Counts, expired: number): Promise<void> {
    const { created, same, replaced, differs, refused, foreign } = counts;
    this.#left = differs;
    const parts = [
      `${documents(created)} copied`,
      `${count(same)} already there and equal`,
      ...(replaced > 0 ? [`${count(replaced)} replaced`] : []),
      ...(differs > 0 ? [`${count(differs)} different in the target and left as they are there`] : []),
    ];
    await this.#line(parts.join(", "));
    const gone = Math.max(expired, counts.expired);
    if (gone > 0) await this.#line(`left out as expired: ${documents(gone)}`);
    if (foreign > 0) {
      await this.#line(
        `left out as no documents of a store, since a name is no text or dataset_id no ObjectId: ${documents(foreign)}`,
      );
    }
    if (refused > 0) await this.#line(`left out since the target cannot hold them: ${documents(refused)}`);
    for (const refusal of this.#refusals) this.output.message(`left out: ${refusal}`);
    for (const name of this.#differences) this.output.message(`different in the target: ${name}`);
    const unnamed = differs - this.#differences.length;
    if (unnamed > 0) this.output.message(`different in the target: ${count(unnamed)} more`);
  }

  /** Tells about the comparison behind the copy, and answers whether the target has everything. */
  async verified({ same, differs, missing, refused }: Counts): Promise<boolean> {
    const total = same + differs + missing + refused;
    if (same === total) {
      await this.#line(`verified: ${documents(total)} of the source, all in the target and equal`);
      return true;
    }
    await this.#line(
      `verified: ${documents(total)} of the source, of which the target has ${count(same)} equal, ` +
        `${count(differs)} different, ${count(missing + refused)} not at all`,
    );
    if (this.#left > 0) {
      this.output.message(
        `${this.collection}: what differs in the target was left as it is there; to replace it by what the source has, run the command again with --overwrite`,
      );
    }
    if (missing > 0 || differs > this.#left) {
      this.output.message(
        `${this.collection}: documents came or changed while they were copied; stop what writes to the source and the target, then run the command again with --overwrite`,
      );
    }
    return false;
  }

  #line(text: string): Promise<void> {
    return this.output.line(`${this.collection}: ${text}`);
  }
}

function documents(number: number): string {
  return number === 1 ? "1 document" : `${count(number)} documents`;
}

/** A document's name for people, on one line. */
function nameOf({ datasetId, storeName, key }: ArchivedDocument): string {
  const context = datasetId === "" ? "" : `dataset ${datasetId}, `;
  const store = `${context}store ${printJsonString(storeName)}`;
  return key === undefined ? `${store}, its own document` : `${store}, key ${printJsonString(key)}`;
}
