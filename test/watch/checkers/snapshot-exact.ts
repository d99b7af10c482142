import type { Checker, LiveDocument, RecordedHistory, SeenDocument, Stream } from "./history.js";
import {
  asShown,
  CLOCK_SLACK_MS,
  eventText,
  placeName,
  type Reference,
  referenceOf,
  State,
  sameDocument,
  selects,
  streamText,
} from "./reference.js";

/** Snapshot-exact: snapshot plus events has no hole and no duplicate; the marker is sent even when the snapshot is empty. */
export const snapshotExact: Checker = (history) =>
  history.streams
    .filter(({ request }) => request.snapshot)
    .flatMap((stream) => snapshotProblems(history, stream));

function snapshotProblems(history: RecordedHistory, stream: Stream): string[] {
  const shape = shapeProblems(stream);
  const complete = stream.messages.some(({ kind }) => kind === "snapshot-complete");
  if (shape.length > 0 || !complete) return shape;
  const shown = stream.messages.flatMap(({ kind, events }) => (kind === "snapshot" ? events : []));
  const problems: string[] = [];
  for (const [at, event] of shown.entries()) {
    const before = shown[at - 1]?.document;
    const after = before === undefined || compare(before, event.document) < 0;
    if (event.type !== "existing") problems.push(`${streamText(stream)} shows ${eventText(event)}`);
    if (!after) problems.push(`${streamText(stream)} shows ${placeName(event.document)} out of order`);
    if (!selects(stream.request, event.document)) {
      problems.push(`${streamText(stream)} shows ${placeName(event.document)}, which it did not ask for`);
    }
  }
  if (problems.length > 0) return problems;
  const documents = shown.map(({ document }) => document);
  return stateProblems(history, stream, documents);
}

/** STARTED, SNAPSHOT …, SNAPSHOT_COMPLETE, and the rest. */
function shapeProblems(stream: Stream): string[] {
  const kinds = stream.messages.map(({ kind }) => kind);
  const complete = kinds.indexOf("snapshot-complete");
  const early = kinds.slice(1, complete < 0 ? kinds.length : complete);
  const late = complete < 0 ? [] : kinds.slice(complete + 1);
  const text = streamText(stream);
  return [
    ...(kinds.length > 0 && kinds[0] !== "started" ? [`${text} began with ${kinds[0]}`] : []),
    ...early.filter((kind) => kind !== "snapshot").map((kind) => `${text} got ${kind} amid its snapshot`),
    ...late
      .filter((kind) => kind !== "events" && kind !== "progress")
      .map((kind) => `${text} got ${kind} after its snapshot`),
    ...(complete < 0 && stream.end === undefined ? [`${text} never got the end of its snapshot`] : []),
  ];
}

/** List order: by dataset, store and key, each in byte order of UTF-8. */
function compare(a: SeenDocument, b: SeenDocument): number {
  for (const name of ["datasetId", "storeName", "key"] as const) {
    const order = Buffer.compare(Buffer.from(a[name]), Buffer.from(b[name]));
    if (order !== 0) return order;
  }
  return 0;
}

/** The snapshot is the state at one place of the order, and the events go on from there. */
function stateProblems(
  history: RecordedHistory,
  stream: Stream,
  documents: readonly SeenDocument[],
): string[] {
  const reference = referenceOf(history);
  const { least, most } = placesOf(reference, stream);
  const state = new Comparison(stream, documents);
  let best: readonly string[] | undefined;
  for (let place = 0; place <= most; place += 1) {
    if (place >= least && (best === undefined || state.problems < best.length)) best = state.texts();
    if (best?.length === 0) return [];
    const found = reference.events[place];
    if (found !== undefined) state.step(found.event.document, found.event);
  }
  if (best === undefined) return [`${streamText(stream)}: there is a hole or an overlap behind its snapshot`];
  const where = `the state at no place from ${least} to ${most}; nearest:`;
  return [`${streamText(stream)} shows ${where}\n${best.slice(0, 5).join("\n")}`];
}

/** Between which places the snapshot can have been read: by time, and so that the first event is the next one. */
function placesOf(reference: Reference, stream: Stream): { readonly least: number; readonly most: number } {
  const { least, most } = reference.snapshotBounds(stream);
  const received = reference.received(stream).find((index) => index !== undefined);
  const first = received ?? (stream.end === undefined ? reference.events.length : undefined);
  if (first === undefined) return { least, most };
  const last = reference.matching(stream.request).findLast((index) => index < first) ?? -1;
  return { least: Math.max(least, last + 1), most: Math.min(most, first) };
}

/** Holds a snapshot against the state at one place after the other. */
class Comparison {
  readonly #state = new State();
  readonly #shown: ReadonlyMap<string, SeenDocument>;
  readonly #wrong = new Set<string>();
  readonly #stream: Stream;
  readonly #readFrom: number;
  readonly #readTo: number;

  constructor(stream: Stream, documents: readonly SeenDocument[]) {
    this.#stream = stream;
    this.#shown = new Map(documents.map((document) => [placeName(document), document]));
    for (const name of this.#shown.keys()) this.#wrong.add(name);
    const complete = stream.messages.find(({ kind }) => kind === "snapshot-complete");
    this.#readFrom = stream.calledAt - CLOCK_SLACK_MS;
    this.#readTo = (complete?.receivedAt ?? Number.POSITIVE_INFINITY) + CLOCK_SLACK_MS;
  }

  get problems(): number {
    return this.#wrong.size;
  }

  step(document: SeenDocument, event: Parameters<State["apply"]>[0]): void {
    this.#state.apply(event);
    if (!selects(this.#stream.request, document)) return;
    const name = placeName(document);
    if (this.#agrees(this.#shown.get(name), this.#state.documents.get(name))) this.#wrong.delete(name);
    else this.#wrong.add(name);
  }

  texts(): string[] {
    return [...this.#wrong].map((name) => {
      const there = JSON.stringify(this.#state.documents.get(name));
      const shown = JSON.stringify(this.#shown.get(name));
      return `  ${name}: shown ${shown}, there was ${there}, between ${this.#readFrom} and ${this.#readTo}`;
    });
  }

  /** What expires while the snapshot is read may be in it or not. */
  #agrees(shown: SeenDocument | undefined, there: LiveDocument | undefined): boolean {
    const expiresAt = there?.version.expiresAt ?? Number.POSITIVE_INFINITY;
    if (shown === undefined) return there === undefined || expiresAt <= this.#readTo;
    return expiresAt > this.#readFrom && sameDocument(shown, asShown(there, this.#stream.request));
  }
}
