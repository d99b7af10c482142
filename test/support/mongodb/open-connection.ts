import { expect, onTestFinished } from "vitest";
import {
  createMongoConnection,
  type MongoConnection,
  type MongoEvent,
} from "../../../src/engines/mongo/connection.js";
import { StoreError } from "../../../src/store/errors.js";

/** A connection that is closed with the test, and what it has told of. */
export interface TestConnection {
  readonly connection: MongoConnection;
  readonly events: MongoEvent[];
}

/** Makes a connection, without connecting. */
export function createConnection(uri: string): TestConnection {
  const events: MongoEvent[] = [];
  const connection = createMongoConnection({ uri, onEvent: (event) => events.push(event) });
  onTestFinished(() => connection.close());
  return { connection, events };
}

/** Makes a connection and connects it. */
export async function openConnection(uri: string): Promise<TestConnection> {
  const created = createConnection(uri);
  await created.connection.connect({ timeoutMs: 20_000 });
  return created;
}

/** The StoreError of a call that must fail with one. */
export async function failure(promise: Promise<unknown>): Promise<StoreError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(StoreError);
  return error as StoreError;
}
