declare module "mongodb/lib/cmap/commands.js" {
  /** Part of the driver that its public types leave out: documents of a command that are serialized already. */
  export class DocumentSequence {
    constructor(field: string);
    /** @param document for command logging only */
    push(document: object, bytes: Uint8Array): number;
  }
}
