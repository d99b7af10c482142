import { onAbort } from "./on-abort.js";

/** Waits so many milliseconds, or until one of the signals aborts. */
export async function pause(delayMs: number, ...signals: readonly AbortSignal[]): Promise<void> {
  if (signals.some((signal) => signal.aborted)) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      for (const forget of forgets) forget();
      resolve();
    };
    const timer = setTimeout(end, delayMs);
    const forgets = signals.map((signal) => onAbort(signal, end));
  });
}
