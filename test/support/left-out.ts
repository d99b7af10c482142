/** Parts of the tests that need something which not every machine has. */
const PARTS = ["mongodb", "fiftyone", "python", "go"] as const;

/** A part of the tests that can be left out. */
export type Part = (typeof PARTS)[number];

/** Names the parts to leave out, separated by commas. */
export const WITHOUT = "EXECUTION_STORE_TEST_WITHOUT";

/**
 * The parts that the environment leaves out, by default none. Throws where one has no such name, and where CI=true:
 * what nobody looks at must not be left out unseen.
 */
export function readLeftOut(environment: NodeJS.ProcessEnv): ReadonlySet<Part> {
  const names = (environment[WITHOUT] ?? "").split(",").map((name) => name.trim());
  const parts = new Set<Part>();
  for (const name of names.filter(Boolean)) {
    const part = PARTS.find((each) => each === name);
    if (part === undefined) {
      throw new Error(`${WITHOUT} has ${JSON.stringify(name)}; expected some of ${PARTS.join(", ")}`);
    }
    parts.add(part);
  }
  if (parts.size > 0 && environment["CI"] === "true") {
    const named = [...parts].join(",");
    throw new Error(
      `${WITHOUT}=${named} leaves tests out, which CI=true does not allow; unset one of the two`,
    );
  }
  return parts;
}

/** Whether to leave out the tests of a part, for `describe.skipIf`. */
export function leavesOut(part: Part): boolean {
  return readLeftOut(process.env).has(part);
}
