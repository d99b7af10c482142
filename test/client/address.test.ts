import { expect, test } from "vitest";
import { parseAddress } from "../../src/client/address.js";
import { isStoreError } from "../../src/store/errors.js";

test.each([
  ["127.0.0.1:50051", "dns:127.0.0.1:50051", true],
  ["localhost:1", "dns:localhost:1", true],
  ["[::1]:65535", "dns:[::1]:65535", true],
  ["store.example.com:443", "dns:store.example.com:443", false],
  ["dns:80", "dns:80", false],
  ["unix:/run/store.sock", "unix:/run/store.sock", true],
  ["unix:///run/store.sock", "unix:/run/store.sock", true],
  ["unix:store.sock", "unix:store.sock", true],
  ["dns:///store:50051", "dns:///store:50051", false],
  ["ipv4:10.0.0.1:1,10.0.0.2:1", "ipv4:10.0.0.1:1,10.0.0.2:1", false],
])("takes %s", (text, target, local) => {
  expect(parseAddress(text)).toEqual({ label: text, target, local });
});

test.each([
  "",
  "localhost",
  "localhost:",
  "localhost:0",
  "localhost:65536",
  "::1:50051",
  "http://localhost:50051",
  "host name:1",
  "user@host:1",
  "unix:",
  "unix://run/store.sock",
])("refuses %j with a sentence that says what is expected", (text) => {
  let error: unknown;
  try {
    parseAddress(text);
  } catch (thrown) {
    error = thrown;
  }
  expect(isStoreError(error, "CLIENT_OPTION_INVALID")).toBe(true);
  expect(error).toMatchObject({
    message: expect.stringMatching(
      /^address .*; expected HOST:PORT such as 127.0.0.1:50051, or unix:\/PATH$/,
    ),
    violations: [{ field: "address" }],
  });
});
