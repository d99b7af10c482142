import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { imageSize } from "image-size";

/** What is computed of a file's content. */
export interface Analysis {
  readonly kind: "image" | "text" | "binary";
  readonly bytes: number;
  /** Shannon entropy in bits per byte: 0 for one repeated byte, 8 for noise or compressed data. */
  readonly entropy: number;
  readonly image?: { readonly format: string; readonly width: number; readonly height: number };
  readonly text?: {
    readonly lines: number;
    readonly words: number;
    readonly frequentWords: readonly string[];
  };
  /** Time that computing it took, in ms, without waiting for the disk: what the next reader saves. */
  readonly computeMs: number;
}

/** Bytes at the start of a file that tell an image's format and size. */
const IMAGE_HEAD_BYTES = 1 << 20;
/** Those that the libraries of several languages read alike, and that no text begins like. */
const IMAGE_FORMATS = ["gif", "jpg", "png", "webp"];
const FREQUENT_WORDS = 5;

/** The SHA-256 of a file, in hex. */
export async function contentHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** Reads a file once, in chunks, and computes its statistics. */
export async function analyze(path: string): Promise<Analysis> {
  const statistics = new Statistics();
  let computeMs = 0;
  const timed = <Result>(work: () => Result): Result => {
    const started = performance.now();
    const result = work();
    computeMs += performance.now() - started;
    return result;
  };
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    timed(() => statistics.add(chunk as Buffer));
  }
  const result = timed(() => statistics.finish());
  return { ...result, computeMs: Math.round(computeMs * 1000) / 1000 };
}

/** Everything that is told of content that arrives in chunks. */
class Statistics {
  private readonly histogram = new Float64Array(256);
  private readonly head: Buffer[] = [];
  private readonly text = new TextStatistics();
  private bytes = 0;

  add(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      this.histogram[byte] = (this.histogram[byte] ?? 0) + 1;
    }
    if (this.bytes < IMAGE_HEAD_BYTES) this.head.push(chunk);
    this.text.add(chunk);
    this.bytes += chunk.length;
  }

  finish(): Omit<Analysis, "computeMs"> {
    const common = { bytes: this.bytes, entropy: entropy(this.histogram, this.bytes) };
    const image = imageStatistics(Buffer.concat(this.head));
    if (image !== undefined) return { kind: "image", ...common, image };
    const text = this.text.finish();
    return text === undefined ? { kind: "binary", ...common } : { kind: "text", ...common, text };
  }
}

function entropy(histogram: Float64Array, total: number): number {
  let bits = 0;
  for (const count of histogram) {
    if (count > 0) bits -= (count / total) * Math.log2(count / total);
  }
  return Math.round(bits * 1000) / 1000;
}

function imageStatistics(head: Buffer): Analysis["image"] {
  try {
    // A copy with memory of its own: behind the end of a small Buffer the library would read that of others.
    const { type, width, height } = imageSize(new Uint8Array(head));
    return type !== undefined && IMAGE_FORMATS.includes(type) ? { format: type, width, height } : undefined;
  } catch {
    return undefined; // not an image
  }
}

/** Counts lines and words of UTF-8 text that arrives in chunks. */
class TextStatistics {
  private readonly decoder = new TextDecoder("utf-8", { fatal: true });
  private readonly counts = new Map<string, number>();
  private isText = true;
  private lines = 0;
  private words = 0;
  private rest = "";

  add(chunk: Buffer): void {
    if (!this.isText) return;
    if (chunk.includes(0)) this.isText = false;
    else this.take(() => this.decoder.decode(chunk, { stream: true }));
  }

  finish(): Analysis["text"] {
    if (this.isText) this.take(() => `${this.decoder.decode()} `);
    if (!this.isText) return undefined;
    const byCount = [...this.counts].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    const frequentWords = byCount.slice(0, FREQUENT_WORDS).map(([word]) => word);
    return { lines: this.lines, words: this.words, frequentWords };
  }

  private take(decode: () => string): void {
    let decoded: string;
    try {
      decoded = decode();
    } catch {
      this.isText = false; // not UTF-8
      return;
    }
    for (const character of decoded) if (character === "\n") this.lines += 1;
    const words = (this.rest + decoded).split(/[^\p{L}\p{N}]+/u);
    this.rest = words.pop() ?? "";
    for (const word of words) {
      if (word === "") continue;
      this.words += 1;
      const lower = word.toLowerCase();
      this.counts.set(lower, (this.counts.get(lower) ?? 0) + 1);
    }
  }
}
