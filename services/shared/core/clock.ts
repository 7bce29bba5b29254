/** Time as the code sees it, so that a test can hold the hands. */
export interface Clock {
  /** Wall clock in microseconds since 1970-01-01 UTC. May jump; never use it to measure a duration. */
  nowUs(): number;
  /** Monotonic milliseconds since an arbitrary start; for durations and deadlines. */
  monotonicMs(): number;
  /** Resolves after `delayMs`; rejects with the signal's reason when it is aborted first. The timer does not keep the process alive by itself. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}
