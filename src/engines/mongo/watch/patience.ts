/** How long watches wait for a MongoDB that is silent, away, or without a majority, in ms. */
export interface Patience {
  /** How long the server may be silent at the end of the history, where it answers every second. */
  readonly silenceMs: number;
  /** How long a stream that was lost is opened again and again. */
  readonly lostMs: number;
  /** How long the time of the history may stand still before a write of ours makes sure that it can go on. */
  readonly pushAfterMs: number;
  /** How long it may stand still at all: then no majority takes writes, whoever makes them. */
  readonly stallMs: number;
}

/** That of an engine. */
export const PATIENCE: Patience = {
  silenceMs: 15_000,
  lostMs: 10_000,
  pushAfterMs: 20_000,
  stallMs: 40_000,
};
