export interface ReconnectPlanOptions {
  /** Upper end of the first wait. Default 1000. */
  readonly firstDelayMs?: number;
  /** No wait is longer. Default 60000. */
  readonly longestDelayMs?: number;
  /** A connection that delivered frames for this long is believed: the next failure starts from the first wait again. Default 30000. */
  readonly stableAfterMs?: number;
  /** 0 ≤ value < 1. */
  readonly random: () => number;
}

/** No wait is shorter: full jitter alone may draw 0, and a camera that refuses at once would be asked without a pause. */
const shortestDelayMs = 200;

/**
 * How long to wait before the next attempt: exponential with full jitter, so that a hundred cameras behind one switch that comes back
 * are not all asked in the same instant.
 */
export class ReconnectPlan {
  readonly #firstDelayMs: number;
  readonly #longestDelayMs: number;
  readonly #stableAfterMs: number;
  readonly #random: () => number;
  #failures = 0;

  constructor(options: ReconnectPlanOptions) {
    this.#firstDelayMs = options.firstDelayMs ?? 1_000;
    this.#longestDelayMs = options.longestDelayMs ?? 60_000;
    this.#stableAfterMs = options.stableAfterMs ?? 30_000;
    this.#random = options.random;
  }

  /** A connection ended after delivering frames for `deliveredMs` (0: never delivered one). Returns the wait before the next attempt. */
  nextDelayMs(deliveredMs: number): number {
    if (deliveredMs >= this.#stableAfterMs) this.#failures = 0;
    const ceilingMs = Math.min(this.#longestDelayMs, this.#firstDelayMs * 2 ** this.#failures);
    // 2^30 seconds is beyond every ceiling; counting on would end in Infinity.
    this.#failures = Math.min(this.#failures + 1, 30);
    return Math.max(Math.min(shortestDelayMs, this.#longestDelayMs), Math.round(this.#random() * ceilingMs));
  }
}
