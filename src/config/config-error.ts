import { maskUri } from "./mask-uri.js";

/**
 * Wrong usage or configuration. The message is one sentence for the user: where, what is wrong, what is expected.
 * What a user typed in the wrong place may be a URI with a password, which no message repeats.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  constructor(message: string) {
    super(maskUri(message));
  }
}
