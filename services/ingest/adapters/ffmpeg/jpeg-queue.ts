import { JpegParts } from './jpeg-parts.ts';

/** Encoded pictures that wait for their brightness, which comes by another pipe; the n-th of one belongs to the n-th of the other. */
export class JpegQueue {
  readonly #parts = new JpegParts((jpeg) => this.#add(jpeg));
  readonly #waiting: Uint8Array[] = [];
  #wanted: ((jpeg: Uint8Array | null) => void) | null = null;
  #hasEnded = false;

  read(bytes: Uint8Array, start: number, length: number): void {
    this.#parts.read(bytes, start, length);
  }

  /** No more come. */
  end(): void {
    this.#hasEnded = true;
    this.#wanted?.(null);
    this.#wanted = null;
  }

  /** The next picture, at once where it is there; null where there will be none. One call at a time. */
  take(): Uint8Array | null | Promise<Uint8Array | null> {
    const jpeg = this.#waiting.shift();
    if (jpeg !== undefined) return jpeg;
    if (this.#hasEnded) return null;
    return new Promise((resolve) => {
      this.#wanted = resolve;
    });
  }

  #add(jpeg: Uint8Array): void {
    const wanted = this.#wanted;
    this.#wanted = null;
    if (wanted === null) this.#waiting.push(jpeg);
    else wanted(jpeg);
  }
}
