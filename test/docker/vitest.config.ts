import { defineConfig } from "vitest/config";

/** The checks that need Docker itself; `npm test` runs without them. */
export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: ["test/docker/*.check.ts"],
    alias: { "execution-store": new URL("../../src/index.ts", import.meta.url).pathname },
    testTimeout: 300_000,
    hookTimeout: 600_000,
  },
});
