import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { ConfigError } from "../config/config-error.js";
import { MAX_JSON_LEVELS } from "../store/limits.js";

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const WORDS = ["null", "true", "false"] as const;
/** What a form of Extended JSON takes beyond the levels of its value, which is a scalar; $dbPointer takes most. */
const FORM_LEVELS = 3;
const SPACE = /[ \t\r\n]*/y;

/**
 * Parses JSON text into the bytes of a google.protobuf.Value: field names of every kind survive in their order,
 * and no number is changed silently. Throws ConfigError, which says where the text is wrong and never repeats it.
 */
export function jsonToWire(text: string): Uint8Array {
  return new Parser(text).document();
}

class Parser {
  readonly #text: string;
  readonly #writer = new BinaryWriter();
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Uint8Array {
    this.#space();
    this.#value(0);
    this.#space();
    if (this.#position < this.#text.length) throw this.#error("expected nothing after the value");
    return this.#writer.finish();
  }

  /** The fields of a Value, without a length before them. */
  #value(level: number): void {
    const start = this.#text[this.#position];
    if (start === "{") this.#object(level + 1);
    else if (start === "[") this.#list(level + 1);
    else if (start === '"') this.#writer.tag(3, WireType.LengthDelimited).string(this.#string());
    else if (start !== undefined && /[-0-9]/.test(start)) this.#number();
    else this.#word();
  }

  #object(level: number): void {
    this.#enter(level);
    this.#writer.tag(5, WireType.LengthDelimited).fork();
    this.#sequence("}", "a name in double quotes", () => {
      if (this.#text[this.#position] !== '"') throw this.#error("expected a name in double quotes");
      this.#writer.tag(1, WireType.LengthDelimited).fork();
      this.#writer.tag(1, WireType.LengthDelimited).string(this.#string());
      this.#space();
      if (this.#text[this.#position] !== ":") throw this.#error('expected ":" after the name');
      this.#position += 1;
      this.#space();
      this.#writer.tag(2, WireType.LengthDelimited).fork();
      this.#value(level);
      this.#writer.join().join();
    });
    this.#writer.join();
  }

  #list(level: number): void {
    this.#enter(level);
    this.#writer.tag(6, WireType.LengthDelimited).fork();
    this.#sequence("]", "a value", () => {
      this.#writer.tag(1, WireType.LengthDelimited).fork();
      this.#value(level);
      this.#writer.join();
    });
    this.#writer.join();
  }

  #enter(level: number): void {
    if (level > MAX_JSON_LEVELS + FORM_LEVELS) {
      throw this.#error(`it nests too deep; expected at most ${MAX_JSON_LEVELS} levels`);
    }
    this.#position += 1;
    this.#space();
  }

  /** What stands between brackets, with commas between. */
  #sequence(end: string, item: string, parse: () => void): void {
    if (this.#text[this.#position] === end) {
      this.#position += 1;
      return;
    }
    for (;;) {
      parse();
      this.#space();
      const next = this.#text[this.#position];
      if (next !== "," && next !== end) throw this.#error(`expected "," or "${end}"`);
      this.#position += 1;
      if (next === end) return;
      this.#space();
      if (this.#text[this.#position] === end) throw this.#error(`expected ${item} after ","`);
    }
  }

  #string(): string {
    const start = this.#position;
    let escaped = false;
    for (this.#position += 1; ; this.#position += 1) {
      const code = this.#text.charCodeAt(this.#position);
      if (code === 0x22) break;
      if (Number.isNaN(code)) throw this.#error("expected a closing double quote");
      if (code < 0x20) throw this.#error("expected control characters in a string as escapes, such as \\n");
      if (code !== 0x5c) continue;
      ESCAPE.lastIndex = this.#position;
      if (!ESCAPE.test(this.#text)) throw this.#error('expected an escape, such as \\n, \\" or \\u00e9');
      this.#position = ESCAPE.lastIndex - 1;
      escaped = true;
    }
    this.#position += 1;
    const token = this.#text.slice(start, this.#position);
    const content = escaped ? String(JSON.parse(token)) : token.slice(1, -1);
    if (/\p{Surrogate}/u.test(content)) {
      throw this.#error("half of a surrogate pair is no character; expected both halves", start);
    }
    return content;
  }

  #number(): void {
    const start = this.#position;
    NUMBER.lastIndex = start;
    const [token, fraction, exponent] = NUMBER.exec(this.#text) ?? [];
    if (token === undefined) throw this.#error("expected a digit");
    this.#position = NUMBER.lastIndex;
    const value = Number(token);
    if (!Number.isFinite(value)) {
      throw this.#error(
        'the number is too large for a double; expected less, or {"$numberDecimal": "…"}',
        start,
      );
    }
    const whole = fraction === undefined && exponent === undefined;
    if (whole && !Number.isSafeInteger(value) && BigInt(token) !== BigInt(value)) {
      throw this.#error(
        'the whole number has more digits than a double holds; expected {"$numberLong": "…"}, or an exponent for a double',
        start,
      );
    }
    this.#writer.tag(2, WireType.Bit64).double(value);
  }

  #word(): void {
    const word = WORDS.find((candidate) => this.#text.startsWith(candidate, this.#position));
    if (word === undefined) throw this.#error("expected a JSON value (text needs double quotes)");
    this.#position += word.length;
    if (word === "null") this.#writer.tag(1, WireType.Varint).int32(0);
    else this.#writer.tag(4, WireType.Varint).bool(word === "true");
  }

  #space(): void {
    SPACE.lastIndex = this.#position;
    SPACE.test(this.#text);
    this.#position = SPACE.lastIndex;
  }

  #error(problem: string, position = this.#position): ConfigError {
    const before = this.#text.slice(0, position);
    const line = before.split("\n").length;
    const column = position - before.lastIndexOf("\n");
    const end = position >= this.#text.length ? ", where the text ends" : "";
    return new ConfigError(`the value is no JSON at line ${line}, column ${column}${end}: ${problem}`);
  }
}
