import { randomInt } from "node:crypto";
import { cstringEnd, sameCString } from "./bson-bytes.js";

/** Where a name's hash begins: random, so that nobody can prepare names that collide. */
export const HASH_SEED = randomInt(2 ** 31);

/** Adds one byte of a name to its hash. */
export function hashByte(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

/** Names up to which comparing all pairs is quicker than a table. */
const FEW = 16;
/** Steps in the table beyond which its hash has failed and the engine's own takes over. */
const MAX_PROBES = 64;
/** Room that is kept between calls. */
const KEPT = 1 << 14;

/**
 * The field names of the objects that a walk is inside of, to find one that occurs twice. Names are offsets of
 * zero-terminated texts in one buffer; the walk notes `size` when it enters an object, adds the object's names,
 * asks when it leaves and sets `size` back. Linear in the number of names.
 */
export class NameList {
  size = 0;
  #starts = new Int32Array(KEPT);
  #hashes = new Int32Array(KEPT);
  #slots = new Int32Array(KEPT);

  add(start: number, hash: number): void {
    if (this.size === this.#starts.length) this.#grow();
    this.#starts[this.size] = start;
    this.#hashes[this.size++] = hash;
  }

  /** Where a name begins that occurs before among those from `base` on; -1 if all differ. */
  repeated(buf: Buffer, base: number): number {
    const count = this.size - base;
    if (count < 2) return -1;
    return count <= FEW ? this.#repeatedOfFew(buf, base) : this.#repeatedOfMany(buf, base, count);
  }

  /** Empties the list and gives back unusual amounts of memory. */
  reset(): void {
    this.size = 0;
    if (this.#starts.length > KEPT) {
      this.#starts = new Int32Array(KEPT);
      this.#hashes = new Int32Array(KEPT);
    }
    if (this.#slots.length > KEPT) this.#slots = new Int32Array(KEPT);
  }

  #repeatedOfFew(buf: Buffer, base: number): number {
    const hashes = this.#hashes;
    for (let i = base + 1; i < this.size; i++) {
      const hash = hashes[i];
      for (let j = base; j < i; j++) {
        if (hashes[j] === hash && this.#same(buf, i, j)) return this.#starts[i] ?? -1;
      }
    }
    return -1;
  }

  #repeatedOfMany(buf: Buffer, base: number, count: number): number {
    const room = 2 ** Math.ceil(Math.log2(count * 2));
    if (this.#slots.length < room) this.#slots = new Int32Array(room);
    else this.#slots.fill(0, 0, room);
    const slots = this.#slots;
    for (let i = base; i < this.size; i++) {
      const hash = this.#hashes[i] ?? 0;
      let slot = (hash ^ (hash >>> 15)) & (room - 1);
      let probes = 0;
      // A slot holds an index + 1; 0 is free.
      for (let other = slots[slot]; other; other = slots[slot]) {
        if (this.#hashes[other - 1] === hash && this.#same(buf, i, other - 1)) return this.#starts[i] ?? -1;
        if (++probes > MAX_PROBES) return this.#repeatedByStrings(buf, base);
        slot = (slot + 1) & (room - 1);
      }
      slots[slot] = i + 1;
    }
    return -1;
  }

  #repeatedByStrings(buf: Buffer, base: number): number {
    const seen = new Set<string>();
    for (let i = base; i < this.size; i++) {
      const start = this.#starts[i] ?? 0;
      // With its zero byte, so that no name looks like an array index, whose hash has no random part.
      const name = buf.toString("latin1", start, cstringEnd(buf, start, buf.length) + 1);
      if (seen.has(name)) return start;
      seen.add(name);
    }
    return -1;
  }

  #same(buf: Buffer, i: number, j: number): boolean {
    return sameCString(buf, this.#starts[i] ?? 0, buf, this.#starts[j] ?? 0);
  }

  #grow(): void {
    const starts = new Int32Array(this.size * 2);
    const hashes = new Int32Array(this.size * 2);
    starts.set(this.#starts);
    hashes.set(this.#hashes);
    this.#starts = starts;
    this.#hashes = hashes;
  }
}
