/** Wrong usage or configuration. The message is one sentence for the user: where, what is wrong, what is expected. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}
