import { describe, expect, it } from "vitest";
import { COPY_URIS } from "../../src/cli/add-copy-command.js";
import { CLIENT_OPTIONS } from "../../src/cli/client-options.js";
import { variableOf } from "../../src/config/options.js";
import { unknownVariables } from "../../src/config/unknown-variables.js";
import { SERVE_OPTIONS } from "../../src/config.js";

const TABLES = [SERVE_OPTIONS, CLIENT_OPTIONS, COPY_URIS];
const warnings = (...names: string[]) =>
  unknownVariables(Object.fromEntries(names.map((name) => [name, "x"])), TABLES);

describe("unknownVariables", () => {
  it("names the nearest variable, if any is near", () => {
    expect(
      warnings("EXECUTION_STORE_STROE", "EXECUTION_STORE_HISTORYTIME", "EXECUTION_STORE_COLOUR", "PATH"),
    ).toEqual([
      "the variable EXECUTION_STORE_COLOUR belongs to no option and is ignored; remove it",
      "the variable EXECUTION_STORE_HISTORYTIME belongs to no option and is ignored; did you mean EXECUTION_STORE_HISTORY_TIME?",
      "the variable EXECUTION_STORE_STROE belongs to no option and is ignored; did you mean EXECUTION_STORE_STORE?",
    ]);
  });

  it("says nothing of the options of serve, of the client and of copy", () => {
    const options = TABLES.flatMap((table) => Object.values(table));
    expect(warnings(...options.map((option) => variableOf(option)))).toEqual([]);
  });

  it("says nothing of what Kubernetes sets for a service of this name, and of what tests set", () => {
    expect(
      warnings(
        "EXECUTION_STORE_SERVICE_HOST",
        "EXECUTION_STORE_SERVICE_PORT",
        "EXECUTION_STORE_SERVICE_PORT_GRPC",
        "EXECUTION_STORE_PORT",
        "EXECUTION_STORE_PORT_50051_TCP",
        "EXECUTION_STORE_PORT_50051_TCP_ADDR",
        "EXECUTION_STORE_TEST_SEED",
      ),
    ).toEqual([]);
    expect(warnings("EXECUTION_STORE_PORTS")).toHaveLength(1);
  });
});
