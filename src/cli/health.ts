import { BinaryReader } from "@bufbuild/protobuf/wire";
import { Metadata } from "@grpc/grpc-js";
import { parseAddress } from "../client/address.js";
import { createTransport } from "../client/transport.js";
import { StoreError } from "../store/errors.js";
import { jsonLine } from "./documents.js";
import { EXIT_CODES, type ExitCode } from "./exit-codes.js";
import type { Session } from "./session.js";

/** The values of grpc.health.v1.HealthCheckResponse.ServingStatus. */
const STATUSES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] as const;

/** What a server reports of itself. */
export type Health = (typeof STATUSES)[number];

/** Tells the server's health. Throws SERVER_UNREACHABLE. */
export async function health({ address, timeoutMs, json, output }: Session): Promise<ExitCode> {
  const status = await checkHealth(address, timeoutMs);
  if (status === "UNKNOWN") {
    throw new StoreError(
      "SERVER_UNREACHABLE",
      `${address} does not tell its health; start the server there, or check the address`,
    );
  }
  await output.line(json ? jsonLine({ address, health: status }) : status);
  return status === "SERVING" ? EXIT_CODES.success : EXIT_CODES.unavailable;
}

/** Asks the health service for the server as a whole; UNKNOWN if it does not answer. */
export async function checkHealth(address: string, timeoutMs: number): Promise<Health> {
  const transport = createTransport(parseAddress(address), false);
  try {
    const { response } = await transport.unary({
      path: "/grpc.health.v1.Health/Check",
      request: Buffer.alloc(0),
      decode: decodeStatus,
      metadata: new Metadata(),
      deadline: Date.now() + timeoutMs,
      signal: undefined,
    });
    return response ?? "UNKNOWN";
  } finally {
    transport.close();
  }
}

function decodeStatus(bytes: Uint8Array): Health {
  const reader = new BinaryReader(bytes);
  let status = 0;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) status = reader.int32();
    else reader.skip(type);
  }
  return STATUSES[status] ?? "UNKNOWN";
}
