import { readFileSync } from "node:fs";

/** One method of an echo: it answers the same whatever it is asked. */
export interface EchoMethod {
  readonly name: string;
  /** Bytes of the encoded answer. */
  readonly replyBytes: number;
  /** The answer of the measured service itself, in base64, for the method that answers in its messages. */
  readonly reply: string | undefined;
  /** Which messages of the measured service that method has; undefined where it is not asked for. */
  readonly typed: "getKey" | "setKey" | undefined;
}

/** The service whose methods take and answer {@link EchoMessage}. */
export const ECHO_SERVICE = "execution_store.bench.EchoService";
/** The service whose methods take and answer the messages of the measured service. */
export const TYPED_ECHO_SERVICE = "execution_store.bench.TypedEchoService";

/** The methods that the process is asked to serve: its first argument is a file of JSON. */
export function readEchoPlan(): readonly EchoMethod[] {
  return JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as readonly EchoMethod[];
}

/** Says that the server can be called, as the measured server does, and ends it with the process that started it. */
export function announce(port: number): void {
  process.stdin.resume().once("end", () => process.exit());
  process.stderr.write(`${JSON.stringify({ msg: "serving", addresses: [`127.0.0.1:${port}`] })}\n`);
}
