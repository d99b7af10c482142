import { expect, onTestFinished, test } from "vitest";
import { ExecutionStore } from "../../src/client/execution-store.js";
import type { KeySetEvent } from "../../src/client/watch-events.js";
import { buildBeforeTests, firstAddress, type ServerProcess, startServer } from "../cli/cli-process.js";
import { freePort } from "../support/free-port.js";
import { tempDir } from "../support/temp-dir.js";
import { until } from "../support/until.js";
import { SOON } from "./watch-peers.js";

buildBeforeTests();

const KEYS = 4;

test.each(["SIGKILL", "SIGTERM"] as const)(
  "a server that ends by %s and starts again loses and doubles nothing",
  async (signal) => {
    const path = tempDir();
    const start = (listen: string): Promise<ServerProcess> =>
      startServer(["--listen", listen, "--store", `lmdb:${path}/store`, "--shutdown-grace", "1s"]);
    let server = await start(`127.0.0.1:${await freePort()}`);
    const address = firstAddress(server);
    const store = ExecutionStore.create("s", { address });
    onTestFinished(async () => {
      await store.close();
      server.kill("SIGKILL");
      await server.ended;
    });
    const events: KeySetEvent<number, "plain">[] = [];
    const watch = store.watch<number>({ retry: SOON });
    let starts = 0;
    void (async () => {
      for await (const event of watch) {
        if (event.type === "started") starts += 1;
        if (event.type === "created" || event.type === "updated") events.push(event);
      }
    })();
    onTestFinished(() => watch.close());
    const mirror = store.mirror<number>({ retry: SOON });
    onTestFinished(() => mirror.close());
    await mirror.ready;
    await until(() => starts === 1, "the watch has started");

    let writing = true;
    const last: number[] = [];
    const writers = Array.from({ length: KEYS }, async (_, index) => {
      for (let value = 1; writing; value += 1) {
        await store.set(`k${index}`, value);
        last[index] = value;
      }
    });
    for (let round = 0; round < 3; round += 1) {
      const seen = events.length;
      await until(() => events.length > seen + 50, "changes come");
      server.kill(signal);
      await server.ended;
      server = await start(address);
      await until(() => starts === round + 2, "the watch has started again");
    }
    writing = false;
    await Promise.all(writers);
    for (const [index, value] of last.entries()) {
      const key = `k${index}`;
      const versions = () => events.filter((event) => event.key === key);
      await until(() => versions().at(-1)?.document.value === value, `${key} is told to its end`);
      const told = versions();
      // A set of unknown outcome is sent again, and may be two changes of one value: of two versions.
      const values = told.map(({ document }) => document.value);
      expect([...new Set(values)]).toEqual(Array.from({ length: value }, (_, before) => before + 1));
      expect(values).toEqual(values.toSorted((a, b) => a - b));
      expect(new Set(told.map(({ document }) => document.etag)).size).toBe(told.length);
      expect(told.map(({ type }) => type)).toEqual(
        told.map((_, position) => (position === 0 ? "created" : "updated")),
      );
      await until(() => mirror.get(key) === value, `${key} is mirrored`);
    }
  },
  120_000,
);
