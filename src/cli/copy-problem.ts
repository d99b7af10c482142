import { type StoreLocation, shownStore } from "../config/store-uri.js";
import { StoreError } from "../store/errors.js";

/** One end of a copy. */
export type Role = "source" | "target";

/** What names an end of a copy, in sentences. */
export const ARGUMENT_OF: Readonly<Record<Role, string>> = { source: "SOURCE_URI", target: "TARGET_URI" };

/** An error that an end of a copy has met on the way, as a sentence of a command that has no server. */
export function copyProblem(error: StoreError, role: Role, location: StoreLocation): StoreError {
  const { reason, outcome } = error;
  const message = `the ${role} ${shownStore(location)}${problemOf(error, role)}`;
  return new StoreError(reason, message, { cause: error, ...(outcome !== undefined && { outcome }) });
}

function problemOf({ reason, message }: StoreError, role: Role): string {
  if (reason === "DATABASE_UNREACHABLE") {
    const orRefusal =
      role === "source" ? " or does not answer" : ", does not answer or takes no writes for now";
    return ` cannot be reached, has no primary${orRefusal}; see that it runs`;
  }
  if (reason === "DATABASE_PERMISSION_DENIED") {
    const [deed, right] = role === "source" ? ["read", "read"] : ["write", "readWrite"];
    return ` does not let this user ${deed}; give it the role ${right} on the database`;
  }
  return `: ${message}`;
}

/** Why an end of a copy cannot be opened: the engine's own sentence, and whom it is about. */
export function openingProblem(error: StoreError, role: Role): StoreError {
  const remedy = error.reason === "DATABASE_UNREACHABLE" ? `; start it, or correct ${ARGUMENT_OF[role]}` : "";
  return new StoreError(error.reason, `the ${role}: ${error.message}${remedy}`, { cause: error });
}
