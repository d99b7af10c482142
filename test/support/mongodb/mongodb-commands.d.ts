declare module "mongodb/lib/cmap/commands.js" {
  /** Parts of the driver that its public types leave out: a command on its way out, and its reply. */
  export class OpMsgRequest {
    /** Adds the sections of the message and answers their length. */
    makeSections: (this: OpMsgRequest, buffers: Uint8Array[], command: object) => number;
  }
  export class OpMsgResponse {
    parsed: boolean;
    /** The reply's document; parses it the first time. */
    parse: (this: OpMsgResponse) => Uint8Array;
  }
}
