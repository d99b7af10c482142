import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  type HealthDefinition,
  type HealthListResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/ts/grpc/health/v1/health.js";
import { StoreError } from "../store/errors.js";
import type { HandlerOptions, Handlers } from "./call.js";

/** Whether a service takes calls. */
export type Health = "SERVING" | "NOT_SERVING";

const STATUSES: Readonly<Record<Health, ServingStatus>> = {
  SERVING: ServingStatus.SERVING,
  NOT_SERVING: ServingStatus.NOT_SERVING,
};

// Trailers have little room, and callers may ask for names of any length.
const MAX_NAME_CHARS = 256;

function shortened(name: string): string {
  return name.length > MAX_NAME_CHARS ? `${name.slice(0, MAX_NAME_CHARS)}…` : name;
}

/** grpc.health.v1.Health over a table of statuses. A service is unknown until its status is set. */
export class HealthService implements Handlers<typeof HealthDefinition> {
  readonly #statuses = new Map<string, ServingStatus>();
  readonly #listeners = new Set<() => void>();

  /** Sets the status of a service by its full name; "" is the server as a whole. */
  setStatus(service: string, health: Health): void {
    this.#statuses.set(service, STATUSES[health]);
    // A listener takes itself off the set when it is called.
    for (const listener of this.#listeners) listener();
  }

  async check({ service }: HealthCheckRequest): Promise<HealthCheckResponse> {
    const status = this.#statuses.get(service);
    if (status !== undefined) return { status };
    throw new StoreError(
      "SERVICE_NOT_FOUND",
      'service is none that this server has; ask for "", or for a service that List names',
      { resource: { type: "service", name: shortened(service) } },
    );
  }

  async list(): Promise<HealthListResponse> {
    const entries = [...this.#statuses].map(([service, status]) => [service, { status }] as const);
    return { statuses: Object.fromEntries(entries) };
  }

  /** The status at once, and every change after it; of changes while a message is on its way the last. */
  async *watch(
    { service }: HealthCheckRequest,
    { signal }: HandlerOptions,
  ): AsyncGenerator<HealthCheckResponse> {
    let sent: ServingStatus | undefined;
    for (;;) {
      // No change is lost: nothing runs between this look and the listening below, and after every message there
      // is another look.
      const status = this.#statuses.get(service) ?? ServingStatus.SERVICE_UNKNOWN;
      if (status !== sent) {
        sent = status;
        yield { status };
      } else if (signal.aborted) {
        return;
      } else {
        await this.#changed(signal);
      }
    }
  }

  /** Resolves when a status has changed or the signal aborts. */
  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#listeners.delete(end);
        signal.removeEventListener("abort", end);
        resolve();
      };
      this.#listeners.add(end);
      signal.addEventListener("abort", end);
    });
  }
}
