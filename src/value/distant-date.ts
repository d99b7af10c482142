/**
 * A date that is stored in BSON and that a JavaScript Date cannot hold: more than 8.64e15 milliseconds before or
 * after 1970. It is written back as the same date.
 */
export class DistantDate {
  constructor(
    /** Milliseconds since 1970, a signed 64-bit number. */
    readonly milliseconds: bigint,
  ) {}
}
