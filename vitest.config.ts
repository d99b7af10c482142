import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    alias: { "execution-store": new URL("./src/index.ts", import.meta.url).pathname },
    setupFiles: ["test/support/no-leak-warnings.ts"],
    globalSetup: ["test/support/mongodb/global-setup.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // LMDB is native: a process per file keeps one file's fault from the others.
    pool: "forks",
    // Most tests wait for other processes most of the time; alone, two cores would run one file at a time. The suites of
    // other languages run beside them.
    maxWorkers: 2,
    // Reports keep the message of a failure without its difference: what is random or rare must be told there.
    chaiConfig: { truncateThreshold: 4_000 },
  },
});
