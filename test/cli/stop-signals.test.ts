import { describe, expect, it } from "vitest";
import { createStopRequests, type StopSignal } from "../../src/stop-signals.js";

function requests(...arrivals: readonly (readonly [at: number, signal: StopSignal])[]): string[] {
  let time = 0;
  const requestOf = createStopRequests(() => time);
  return arrivals.map(([at, signal]) => {
    time = at;
    return requestOf(signal);
  });
}

describe("stop signals", () => {
  it("drain first and exit then", () => {
    expect(requests([5000, "SIGTERM"], [5000, "SIGTERM"])).toEqual(["drain", "exit"]);
    expect(requests([5000, "SIGTERM"], [5001, "SIGINT"])).toEqual(["drain", "exit"]);
    expect(requests([5000, "SIGINT"], [5001, "SIGTERM"])).toEqual(["drain", "exit"]);
    expect(requests([5000, "SIGINT"], [5300, "SIGINT"])).toEqual(["drain", "exit"]);
  });

  it("take one Ctrl-C that arrives twice for one", () => {
    expect(requests([5000, "SIGINT"], [5299, "SIGINT"], [5400, "SIGINT"])).toEqual([
      "drain",
      "ignore",
      "exit",
    ]);
  });
});
