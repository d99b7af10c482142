import { describe, test } from "vitest";

/** Defines one test; a name in `needs` skips it where the engine lacks that capability by design. */
export type CheckIn<World, Capability extends string> = (
  title: string,
  body: (world: World) => Promise<void>,
  ...needs: Capability[]
) => void;

/** What a suite is run with. */
export interface Suite<World, Capability extends string> {
  readonly name: string;
  /** Makes an engine over empty data; called once per test. */
  readonly open: () => Promise<World>;
  /** What the engine lacks by design, each with the reason. */
  readonly skips: Partial<Record<Capability, string>>;
  /** For each test, in milliseconds. */
  readonly timeout: number;
  readonly topics: Readonly<Record<string, (check: CheckIn<World, Capability>) => void>>;
}

/** Defines the tests of a suite, topic by topic. */
export function describeTopics<World, Capability extends string>({
  name,
  open,
  skips,
  timeout,
  topics,
}: Suite<World, Capability>): void {
  const check: CheckIn<World, Capability> = (title, body, ...needs) => {
    test(title, { timeout }, async (context) => {
      for (const need of needs) {
        const reason = skips[need];
        if (reason !== undefined) context.skip(`${need}: ${reason}`);
      }
      await body(await open());
    });
  };
  describe(name, () => {
    for (const [topic, define] of Object.entries(topics)) describe(topic, () => define(check));
  });
}
