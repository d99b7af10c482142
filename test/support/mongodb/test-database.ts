import { inject, onTestFinished } from "vitest";
import type { Answer } from "./broker.js";

/** A database that nobody else knows, in the MongoDB that all tests of a run share. */
export interface TestDatabase {
  readonly name: string;
  /** Of this database. */
  readonly uri: string;
  /** Has it removed in the background. */
  drop(): Promise<void>;
}

/** A fresh, empty database; the first one in a run finds or starts the MongoDB. For hooks; tests use testDatabase. */
export async function createDatabase(): Promise<TestDatabase> {
  const broker = inject("mongodbBroker");
  const response = await fetch(broker, { method: "POST" });
  const answer = (await response.json()) as Answer;
  if ("error" in answer) throw new Error(answer.error);
  const { name, uri } = answer;
  return {
    name,
    uri,
    drop: async () => {
      await fetch(`${broker}/${name}`, { method: "DELETE" });
    },
  };
}

/** A fresh, empty database for the running test; it goes when the test ends, after what the test opens on it is closed. */
export async function testDatabase(): Promise<TestDatabase> {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  return database;
}
