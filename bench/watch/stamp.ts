import { type SampleValue, sampleValue } from "../sample-values.js";

/** What is before the digits, in every form that a value has on the wire. */
const MARK = "sent@";
const DIGITS = 16;
const ZERO = 0x30;

/** A value of 250 bytes of BSON with a place for the time at which it is sent, in the field `sent`. */
export const STAMPED_VALUE: SampleValue = sampleValue({
  sent: MARK.padEnd(MARK.length + DIGITS, "0"),
  status: "done",
  sha256: "0".repeat(64),
  model: "detector-v2",
  path: "/images/0001",
  progress: 1,
  attempts: 1,
  mean: [0.485, 0.456],
});

/** A request with such a value, and where the digits are in it. */
export interface Stampable {
  readonly bytes: Buffer;
  readonly at: number;
}

/** Finds the place for the time. Throws where there is none. */
export function stampable(bytes: Buffer): Stampable {
  const mark = bytes.indexOf(MARK, 0, "latin1");
  if (mark === -1) throw new RangeError("the request has no value with a time in it");
  return { bytes, at: mark + MARK.length };
}

/** A copy of the request that was sent at this time. */
export function stamped({ bytes, at }: Stampable, micros: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.write(micros.toString().padStart(DIGITS, "0"), at, "latin1");
  return copy;
}

/** Calls back for every value in a message with the time at which it was sent. */
export function forEachStamp(message: Buffer, tell: (micros: number) => void): void {
  let mark = message.indexOf(MARK, 0, "latin1");
  while (mark !== -1) {
    const end = mark + MARK.length + DIGITS;
    let micros = 0;
    for (let at = mark + MARK.length; at < end; at++) {
      micros = micros * 10 + ((message[at] ?? ZERO) - ZERO);
    }
    tell(micros);
    mark = message.indexOf(MARK, end, "latin1");
  }
}
