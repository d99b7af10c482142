import { describe, expect, it } from "vitest";
import { createLogger } from "../../src/log.js";
import { StoreError } from "../../src/store/errors.js";

function capture(write: (logger: ReturnType<typeof createLogger>) => void): Record<string, unknown> {
  const lines: string[] = [];
  write(createLogger("info", { write: (line) => void lines.push(line) }));
  expect(lines).toHaveLength(1);
  expect(lines.join("")).not.toContain("hunter2");
  return JSON.parse(lines.join("")) as Record<string, unknown>;
}

describe("the log", () => {
  it("is JSON with level, time and message", () => {
    const line = capture((logger) => logger.info({ addresses: ["127.0.0.1:1"] }, "serving"));
    expect(line).toMatchObject({
      level: "info",
      msg: "serving",
      addresses: ["127.0.0.1:1"],
      pid: process.pid,
    });
    expect(new Date(String(line["time"])).toISOString()).toBe(line["time"]);
  });

  it("keeps values, keys and secrets out", () => {
    capture((logger) =>
      logger.warn({ value: "hunter2", key: "hunter2", request: { value: "hunter2" } }, "x"),
    );
    capture((logger) => logger.warn({ headers: { authorization: "hunter2" }, token: "hunter2" }, "x"));
  });

  it("masks credentials in URIs, also in errors", () => {
    capture((logger) => logger.info({ store: "mongodb://me:hunter2@db/x" }, "x"));
    const { err } = capture((logger) =>
      logger.error({ err: new Error("cannot reach mongodb://me:hunter2@db/x") }, "x"),
    );
    expect(err).toMatchObject({ type: "Error", message: "cannot reach mongodb://***@db/x" });
  });

  it("keeps an error's reason, stack and cause, and none of its other fields", () => {
    const cause = new Error("the disk is gone");
    const { err } = capture((logger) =>
      logger.error(
        { err: new StoreError("INTERNAL", "broken", { cause, resource: { type: "key", name: "hunter2" } }) },
        "x",
      ),
    );
    expect(err).toMatchObject({ reason: "INTERNAL", stack: expect.stringContaining("the disk is gone") });
  });

  it("takes anything for an error", () => {
    expect(capture((logger) => logger.error({ err: "text" }, "x"))["err"]).toEqual({ message: "text" });
    expect(capture((logger) => logger.error({ err: undefined, n: 1n }, "x"))).toMatchObject({ n: 1 });
  });
});
