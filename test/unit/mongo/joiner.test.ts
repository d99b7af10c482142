import { expect, test } from "vitest";
import { Joiner, type Settled } from "../../../src/engines/mongo/joiner.js";

/** Groups that end when the test says so. */
function controlled(
  options: { lanes?: number; most?: number; mostWaiting?: number; claim?: (request: string) => string } = {},
) {
  const groups: {
    requests: readonly string[];
    end: (settled?: readonly Settled<string>[]) => void;
    fail: (error: unknown) => void;
  }[] = [];
  const joiner = new Joiner<string, string>({
    lanes: () => options.lanes ?? 1,
    most: () => options.most ?? 64,
    mostWaiting: options.mostWaiting ?? 100,
    busy: () => new Error("too many wait"),
    ...(options.claim !== undefined && { claim: options.claim }),
    run: (requests) =>
      new Promise((resolve, reject) => {
        const answers = requests.map((request) => ({ answer: `${request}!` }));
        groups.push({ requests, end: (settled) => resolve(settled ?? answers), fail: reject });
      }),
  });
  return { joiner, groups };
}

const nothing = (): void => undefined;

async function turns(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
}

test("what comes in one turn goes together, and each gets its own answer", async () => {
  const { joiner, groups } = controlled();
  const answers = Promise.all(["a", "b", "c"].map((request) => joiner.join(request, undefined)));
  await turns();
  expect(groups.map(({ requests }) => requests)).toEqual([["a", "b", "c"]]);
  groups[0]?.end();
  expect(await answers).toEqual(["a!", "b!", "c!"]);
});

test("who comes while all lanes are busy waits, and goes when one is free", async () => {
  const { joiner, groups } = controlled();
  const first = joiner.join("a", undefined);
  await turns();
  const rest = [joiner.join("b", undefined), joiner.join("c", undefined)];
  await turns();
  expect(groups).toHaveLength(1);
  groups[0]?.end();
  await first;
  await turns();
  expect(groups[1]?.requests).toEqual(["b", "c"]);
  groups[1]?.end();
  expect(await Promise.all(rest)).toEqual(["b!", "c!"]);
});

test("groups have a limit, and lanes run beside each other", async () => {
  const { joiner, groups } = controlled({ lanes: 2, most: 2 });
  const answers = Promise.all(["a", "b", "c", "d", "e"].map((request) => joiner.join(request, undefined)));
  await turns();
  expect(groups.map(({ requests }) => requests)).toEqual([
    ["a", "b"],
    ["c", "d"],
  ]);
  for (const group of groups) group.end();
  await turns();
  expect(groups[2]?.requests).toEqual(["e"]);
  groups[2]?.end();
  expect(await answers).toHaveLength(5);
});

test("one name is never under way twice, and its order is kept", async () => {
  const { joiner, groups } = controlled({ lanes: 2, claim: (request) => request.slice(0, 1) });
  const answers = Promise.all(["a1", "b1", "a2", "a3"].map((request) => joiner.join(request, undefined)));
  await turns();
  expect(groups.map(({ requests }) => requests)).toEqual([["a1", "b1"]]);
  groups[0]?.end();
  await turns();
  expect(groups[1]?.requests).toEqual(["a2"]);
  groups[1]?.end();
  await turns();
  groups[2]?.end();
  expect(await answers).toEqual(["a1!", "b1!", "a2!", "a3!"]);
});

test("an error of one is not its neighbours'", async () => {
  const { joiner, groups } = controlled();
  const answers = Promise.allSettled(["a", "b"].map((request) => joiner.join(request, undefined)));
  await turns();
  groups[0]?.end([{ error: new Error("bad") }, { answer: "fine" }]);
  const [bad, fine] = await answers;
  expect(bad).toMatchObject({ status: "rejected", reason: { message: "bad" } });
  expect(fine).toEqual({ status: "fulfilled", value: "fine" });
});

test("an error of the group is everybody's, and the lane is free again", async () => {
  const { joiner, groups } = controlled({ claim: (request) => request });
  const answers = Promise.allSettled(["a", "b"].map((request) => joiner.join(request, undefined)));
  await turns();
  groups[0]?.fail(new Error("away"));
  expect((await answers).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  const again = joiner.join("a", undefined);
  await turns();
  groups[1]?.end();
  expect(await again).toBe("a!");
});

test("an answer may come later than its group ends", async () => {
  const { joiner, groups } = controlled();
  const late = joiner.join("a", undefined);
  await turns();
  let answer: (text: string) => void = nothing;
  groups[0]?.end([{ answer: new Promise<string>((resolve) => (answer = resolve)) }]);
  const next = joiner.join("b", undefined);
  await turns();
  groups[1]?.end();
  expect(await next).toBe("b!");
  answer("late");
  expect(await late).toBe("late");
});

test("an abort lets a waiting call go before it is sent, and one under way without its answer", async () => {
  const { joiner, groups } = controlled();
  const first = new AbortController();
  const second = new AbortController();
  const underWay = joiner.join("a", first.signal);
  await turns();
  const waiting = joiner.join("b", second.signal);
  second.abort(new Error("b left"));
  await expect(waiting).rejects.toThrow("b left");
  first.abort(new Error("a left"));
  await expect(underWay).rejects.toThrow("a left");
  const last = joiner.join("c", undefined);
  groups[0]?.end();
  await turns();
  expect(groups[1]?.requests).toEqual(["c"]);
  groups[1]?.end();
  expect(await last).toBe("c!");
});

test("an aborted signal is refused at once", () => {
  const { joiner } = controlled();
  expect(() => joiner.join("a", AbortSignal.abort(new Error("left")))).toThrow("left");
});

test("a slow group gives its lane back, and its name only when it has ended", async () => {
  const { joiner, groups } = controlled({ claim: (request) => request });
  const slow = joiner.join("a", undefined);
  await turns();
  const again = joiner.join("a", undefined);
  const other = joiner.join("b", undefined);
  await expect.poll(() => groups.length).toBe(2);
  expect(groups[1]?.requests).toEqual(["b"]);
  groups[1]?.end();
  expect(await other).toBe("b!");
  await turns();
  expect(groups).toHaveLength(2);
  groups[0]?.end();
  expect(await slow).toBe("a!");
  await turns();
  groups[2]?.end();
  expect(await again).toBe("a!");
});

test("a name is held until an answer that comes later", async () => {
  const { joiner, groups } = controlled({ claim: (request) => request });
  const late = joiner.join("a", undefined);
  await turns();
  let answer: (text: string) => void = nothing;
  groups[0]?.end([{ answer: new Promise<string>((resolve) => (answer = resolve)) }]);
  const again = joiner.join("a", undefined);
  await turns();
  expect(groups).toHaveLength(1);
  answer("late");
  expect(await late).toBe("late");
  await turns();
  groups[1]?.end();
  expect(await again).toBe("a!");
});

test("one too many is turned away", async () => {
  const { joiner, groups } = controlled({ mostWaiting: 2 });
  const answers = Promise.all(["a", "b"].map((request) => joiner.join(request, undefined)));
  expect(() => joiner.join("c", undefined)).toThrow("too many wait");
  await turns();
  groups[0]?.end();
  expect(await answers).toEqual(["a!", "b!"]);
});
