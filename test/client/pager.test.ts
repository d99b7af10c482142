import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Pager } from "../../src/client/pager.js";
import { ExecutionStoreService } from "../../src/client/service.js";
import { startTestServer, type TestServer } from "../support/test-server.js";

let server: TestServer;
let service: ExecutionStoreService;

beforeAll(async () => {
  server = await startTestServer();
  service = new ExecutionStoreService({ address: server.address });
});

beforeEach(async () => {
  await service.cleanup();
  await service.batchSetKeys(
    "s",
    Array.from({ length: 25 }, (_, index) => ({ key: `k${String(index).padStart(2, "0")}`, value: index })),
  );
});

afterAll(async () => {
  await service.close();
  await server.close();
});

async function pagesOf<T>(pager: Pager<T>): Promise<(readonly T[])[]> {
  const pages: (readonly T[])[] = [];
  for await (const page of pager.pages()) pages.push(page);
  return pages;
}

test("shows what is there throughout exactly once while keys come and go", async () => {
  const seen: string[] = [];
  for await (const key of service.listKeys("s", { pageSize: 3 })) {
    seen.push(key);
    // Behind and before the reader; the keys without a suffix and with an even number stay.
    await service.setKey("s", `${key}-new`, 1);
    if (Number(key.slice(1, 3)) % 2 === 1) await service.deleteKey("s", key);
    await service.setKey("s", "a-new", 1);
    if (seen.length > 200) throw new Error("the list does not end");
  }
  const throughout = seen.filter((key) => /^k\d[02468]$/.test(key));
  expect(throughout).toEqual(
    Array.from({ length: 13 }, (_, index) => `k${String(index * 2).padStart(2, "0")}`),
  );
  expect(seen).toEqual(seen.toSorted());
  expect(new Set(seen).size).toBe(seen.length);
});

test("goes on where a page's last key was deleted", async () => {
  const seen: string[] = [];
  for await (const page of service.listKeys("s", { pageSize: 5 }).pages()) {
    seen.push(...page);
    await service.batchDeleteKeys("s", page);
  }
  expect(seen.length).toBe(25);
  expect(await service.countKeys("s")).toBe(0);
});

test("fetches no page that is not read, and starts anew each time", async () => {
  const tokens: string[] = [];
  const pager = new Pager((token) => {
    tokens.push(token);
    return Promise.resolve({ items: [`${token}1`, `${token}2`], nextPageToken: `${token}n` });
  });
  for await (const item of pager) {
    if (item === "n1") break;
  }
  expect(tokens).toEqual(["", "n"]);
  const second = pager[Symbol.asyncIterator]();
  expect(await second.next()).toEqual({ done: false, value: "1" });
  expect(tokens).toEqual(["", "n", ""]);
});

test("goes over empty pages that have a token", async () => {
  const pages = [["a"], [], [], ["b"], []];
  const pager = new Pager((token) => {
    const index = Number(token);
    return Promise.resolve({
      items: pages[index] ?? [],
      nextPageToken: index === 4 ? "" : String(index + 1),
    });
  });
  expect(await pager.toArray()).toEqual(["a", "b"]);
  expect(await pagesOf(pager)).toEqual([["a"], ["b"]]);
});

test("gives single pages to those who keep the token", async () => {
  const first = await service.listKeys("s", { pageSize: 20 }).page();
  expect(first.items.length).toBe(20);
  const second = await service.listKeys("s", { pageSize: 10 }).page(first.nextPageToken);
  expect(second).toEqual({ items: ["k20", "k21", "k22", "k23", "k24"], nextPageToken: "" });
});

test("brings pages that are cut by bytes together", async () => {
  const large = "x".repeat(700_000);
  await service.batchSetKeys(
    "large",
    Array.from({ length: 12 }, (_, index) => ({ key: `k${index}`, value: large })),
  );
  const pager = service.listValues<string>("large");
  const pages = await pagesOf(pager);
  expect(pages.length).toBeGreaterThan(1);
  expect(pages.flat().filter(({ value }) => value === large).length).toBe(12);
});

test.each([1.5, Number.NaN, 2 ** 31, "3" as unknown as number, -1, 10_001])(
  "refuses the page size %j",
  async (pageSize) => {
    await expect(service.listKeys("s", { pageSize }).toArray()).rejects.toMatchObject({
      reason: "PAGE_SIZE_INVALID",
    });
  },
);

test("rejects with a StoreError, and stops for a signal", async () => {
  await expect(service.listKeys("").toArray()).rejects.toMatchObject({ reason: "STORE_NAME_INVALID" });
  const controller = new AbortController();
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    for await (const key of service.listKeys("s", { pageSize: 2, signal: controller.signal })) {
      seen.push(key);
      if (seen.length === 4) controller.abort();
    }
  };
  await expect(read()).rejects.toMatchObject({ reason: "CANCELLED" });
  expect(seen.length).toBe(4);
});
