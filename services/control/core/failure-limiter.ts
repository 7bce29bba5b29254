interface Failures {
  startedMs: number;
  count: number;
}

/** Counts wrong tokens by address, so that trying them out is slow and does not fill the log. Bounded: an attacker has many addresses. */
export class FailureLimiter {
  readonly #byAddress = new Map<string, Failures>();
  readonly #most: number;
  readonly #windowMs: number;
  readonly #capacity: number;

  /** Twenty a minute: more than anybody mistypes, far fewer than a search needs. */
  constructor({ most = 20, windowMs = 60_000, capacity = 10_000 } = {}) {
    this.#most = most;
    this.#windowMs = windowMs;
    this.#capacity = capacity;
  }

  /** Counts one failure; gives the seconds to wait when there were too many, else undefined. */
  failed(address: string, nowMs: number): number | undefined {
    const known = this.#byAddress.get(address);
    const failures =
      known === undefined || nowMs - known.startedMs >= this.#windowMs ? { startedMs: nowMs, count: 0 } : known;
    failures.count++;
    this.#byAddress.set(address, failures);
    if (this.#byAddress.size > this.#capacity) this.#byAddress.delete(this.#byAddress.keys().next().value ?? '');
    if (failures.count <= this.#most) return undefined;
    return Math.ceil((failures.startedMs + this.#windowMs - nowMs) / 1000);
  }
}
