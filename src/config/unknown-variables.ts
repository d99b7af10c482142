import { nearest } from "./nearest.js";
import { type Options, VARIABLE_PREFIX, variableOf } from "./options.js";

/**
 * What Kubernetes sets in every pod beside a service named execution-store, such as EXECUTION_STORE_SERVICE_HOST
 * and EXECUTION_STORE_PORT_50051_TCP_ADDR; and what this project's tests set.
 */
const OF_OTHERS = /^(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT|PORT_\d+_(?:TCP|UDP|SCTP)(?:_.*)?|TEST_.*)$/;

/** A sentence for each variable that is named like an option's but belongs to none of the tables. */
export function unknownVariables(
  environment: Readonly<Record<string, string | undefined>>,
  tables: readonly Options[],
): readonly string[] {
  const known = tables.flatMap((table) => Object.values(table)).map((option) => variableOf(option));
  const names = known.map((variable) => variable.slice(VARIABLE_PREFIX.length));
  return Object.keys(environment)
    .filter((variable) => variable.startsWith(VARIABLE_PREFIX) && !known.includes(variable))
    .map((variable) => variable.slice(VARIABLE_PREFIX.length))
    .filter((name) => !OF_OTHERS.test(name))
    .toSorted()
    .map((name) => {
      const guess = nearest(name, names);
      const hint = guess === undefined ? "remove it" : `did you mean ${VARIABLE_PREFIX}${guess}?`;
      return `the variable ${VARIABLE_PREFIX}${name} belongs to no option and is ignored; ${hint}`;
    });
}
