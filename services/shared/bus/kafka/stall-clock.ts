/** Notices that this process has stood still (frozen, suspended, starved): its own timer comes late by as much. */
export class StallClock {
  readonly #limitMs: number;
  readonly #memoryMs: number;
  readonly #timer: NodeJS.Timeout;
  #tickMs = performance.now();
  #sleptAtMs = -Infinity;

  /** Standing still for `limitMs` counts, and is remembered for `memoryMs`. */
  constructor(limitMs: number, memoryMs: number) {
    this.#limitMs = limitMs;
    this.#memoryMs = memoryMs;
    this.#timer = setInterval(() => this.#tick(), limitMs / 5);
    this.#timer.unref();
  }

  sleptRecently(): boolean {
    this.#tick();
    return this.#tickMs - this.#sleptAtMs < this.#memoryMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = performance.now();
    // The tick itself comes up to a fifth late.
    if (nowMs - this.#tickMs > this.#limitMs * 0.8) this.#sleptAtMs = nowMs;
    this.#tickMs = nowMs;
  }
}
