import { ConfigError } from "../config/config-error.js";

/**
 * For the command line's parser: takes a flag's value as it is, and refuses a second one, of which one would be
 * ignored. Throws ConfigError.
 */
export function once(flag: string): (text: string, previous: string | undefined) => string {
  return (text, previous) => {
    if (previous !== undefined) throw new ConfigError(`${flag} is given more than once; expected it once`);
    return text;
  };
}
