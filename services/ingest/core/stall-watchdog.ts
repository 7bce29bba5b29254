/** Tells a silent stream from a slow one. Pure: it is told the time and asked, so one timer can serve it and a test needs none. */
export class StallWatchdog {
  readonly #timeoutMs: number;
  #lastSignMs: number;
  #pausedSinceMs: number | null = null;

  constructor(timeoutMs: number, nowMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#lastSignMs = nowMs;
  }

  noteFrame(nowMs: number): void {
    this.#lastSignMs = nowMs;
  }

  /** While we ourselves keep the source waiting, its silence says nothing. */
  pause(nowMs: number): void {
    this.#pausedSinceMs ??= nowMs;
  }

  resume(nowMs: number): void {
    if (this.#pausedSinceMs === null) return;
    this.#lastSignMs += nowMs - this.#pausedSinceMs;
    this.#pausedSinceMs = null;
  }

  /** Milliseconds until the stream counts as stalled; 0 or less when it does; null while paused. */
  remainingMs(nowMs: number): number | null {
    return this.#pausedSinceMs === null ? this.#lastSignMs + this.#timeoutMs - nowMs : null;
  }
}
