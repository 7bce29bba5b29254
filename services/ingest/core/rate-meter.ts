const windowSize = 32;

/** Frames per second of the media, from the times of the last frames: a file that is read faster than it plays keeps its own rate. */
export class RateMeter {
  readonly #timesUs = new Float64Array(windowSize);
  #count = 0;

  note(timeUs: number): void {
    this.#timesUs[this.#count % windowSize] = timeUs;
    this.#count++;
  }

  /** 0 until there are two frames. */
  get fps(): number {
    const filled = Math.min(this.#count, windowSize);
    if (filled < 2) return 0;
    const newest = this.#timesUs[(this.#count - 1) % windowSize] ?? 0;
    const oldest = this.#timesUs[(this.#count - filled) % windowSize] ?? 0;
    // A clock that stepped back gives no rate rather than a negative one.
    return newest > oldest ? ((filled - 1) * 1_000_000) / (newest - oldest) : 0;
  }
}
