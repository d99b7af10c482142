import type { TestProject } from "vitest/node";
import { readLeftOut } from "../left-out.js";
import { openBroker } from "./broker.js";
import { findMongodb } from "./find-mongodb.js";

declare module "vitest" {
  interface ProvidedContext {
    /** Where test files ask for databases; see broker.ts. */
    readonly mongodbBroker: string;
  }
}

/** Runs once per run of vitest, before the first test file; what it answers runs after the last. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  readLeftOut(process.env);
  const broker = await openBroker(() => findMongodb(process.env, (line) => console.log(line)));
  project.provide("mongodbBroker", broker.url);
  return () => broker.close();
}
