/** Tells how far a long work is. */
export interface Progress {
  /** Begins a step of about `total` parts. */
  start(step: string, total: number): void;
  /** Tells that so many more parts are done. */
  advance(parts: number): void;
  /** Ends the step, done or not. */
  end(): void;
}

/** How often a line is printed where there is no terminal, in ms. */
const LINE_INTERVAL_MS = 5000;

/** Numbers as texts show them. */
export function count(number: number): string {
  return number.toLocaleString("en");
}

/** Progress as a bar on a terminal, else as lines that say the step and how far it is, every few seconds. */
export async function createProgress(
  say: (line: string) => void,
  stream: NodeJS.WritableStream & { readonly isTTY?: boolean } = process.stderr,
): Promise<Progress> {
  return stream.isTTY === true ? createBar(stream) : createLines(say);
}

async function createBar(stream: NodeJS.WritableStream): Promise<Progress> {
  const { default: cliProgress } = await import("cli-progress");
  const bar = new cliProgress.SingleBar({
    format: "{step} [{bar}] {value} of about {total} documents, {eta_formatted} left",
    stream,
    barsize: 30,
    formatValue: (value, _options, type) => (type === "percentage" ? `${value}` : count(value)),
    // Whoever runs the work handles signals.
    gracefulExit: false,
  });
  let total = 0;
  let done = 0;
  return {
    start(step, parts) {
      total = parts;
      done = 0;
      bar.start(total, done, { step });
    },
    advance(parts) {
      done += parts;
      if (done > total) bar.setTotal(done);
      bar.update(done);
    },
    end: () => bar.stop(),
  };
}

function createLines(say: (line: string) => void): Progress {
  let step = "";
  let total = 0;
  let done = 0;
  let saidAt = 0;
  return {
    start(name, parts) {
      step = name;
      total = parts;
      done = 0;
      saidAt = performance.now();
    },
    advance(parts) {
      done += parts;
      if (performance.now() - saidAt < LINE_INTERVAL_MS) return;
      saidAt = performance.now();
      say(`${step}: ${count(done)} of about ${count(Math.max(total, done))} documents`);
    },
    end() {},
  };
}
