const PREFIX_BYTES = 5;
const EMPTY = Buffer.alloc(0);

/** Puts the messages of one stream together from the pieces in which they come. */
export class MessageReader {
  #pieces: Buffer[] = [];
  #length = 0;
  /** Of the message that is incomplete, with its prefix; 0 while its prefix is incomplete, too. */
  #wanted = 0;

  constructor(private readonly tell: (message: Buffer) => void) {}

  /** Takes the next piece, and calls back for each message that is complete now; it is valid during the call. */
  add(piece: Buffer): void {
    this.#length += piece.length;
    if (this.#pieces.length > 0) {
      // Copied: what comes from the connection is good for this call only.
      this.#pieces.push(Buffer.from(piece));
      if (this.#length < Math.max(this.#wanted, PREFIX_BYTES)) return;
    }
    const bytes = this.#pieces.length > 0 ? Buffer.concat(this.#pieces, this.#length) : piece;
    this.#keep(this.#messages(bytes));
  }

  /** Tells all whole messages, and answers what is left. */
  #messages(bytes: Buffer): Buffer {
    let at = 0;
    while (bytes.length - at >= PREFIX_BYTES) {
      const end = at + PREFIX_BYTES + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      this.tell(bytes.subarray(at + PREFIX_BYTES, end));
      at = end;
    }
    return at === bytes.length ? EMPTY : bytes.subarray(at);
  }

  #keep(rest: Buffer): void {
    this.#pieces = rest.length === 0 ? [] : [Buffer.from(rest)];
    this.#length = rest.length;
    this.#wanted = rest.length < PREFIX_BYTES ? 0 : PREFIX_BYTES + rest.readUInt32BE(1);
  }
}
