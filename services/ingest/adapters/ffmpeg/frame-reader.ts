import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { SizePx } from '#shared/core/inference-geometry';
import type { FrameNote } from './stderr-parser.ts';

export interface FrameReaderOptions {
  /** The note of the next frame: undefined where it has not come yet. */
  readonly nextNote: () => FrameNote | undefined;
  /** The size that ffmpeg scales a source of this size to. */
  readonly scaledSize: (note: FrameNote) => SizePx;
  readonly pool: FrameBufferPool;
  /** How many bytes a picture of this size takes. */
  readonly bytesOf: (size: SizePx) => number;
  /** A promise back: read no further until it resolves. */
  readonly onFrame: (note: FrameNote, planes: Planes) => Promise<void> | undefined;
}

/** The bytes of one picture: its planes one after another. */
export interface Planes {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** What became of the bytes that were given. */
export type ReadOutcome =
  | { readonly kind: 'all' }
  /** The note of the frame that begins here is missing; offer the rest again when there is one. */
  | { readonly kind: 'note-missing'; readonly usedBytes: number }
  | { readonly kind: 'wait'; readonly usedBytes: number; readonly until: Promise<void> };

const all: ReadOutcome = { kind: 'all' };

/** Cuts the stream of raw pictures into frames, by the sizes that the notes tell: they change when the camera changes its resolution. */
export class FrameReader {
  readonly #options: FrameReaderOptions;
  #note: FrameNote | null = null;
  #size: SizePx | null = null;
  #data = new Uint8Array(0);
  #filled = 0;

  constructor(options: FrameReaderOptions) {
    this.#options = options;
  }

  /** Reads `length` bytes of `bytes`, which the caller may use again afterwards. */
  read(bytes: Uint8Array, start: number, length: number): ReadOutcome {
    const end = start + length;
    let at = start;
    while (at < end) {
      if (this.#note === null && !this.#begin()) return { kind: 'note-missing', usedBytes: at - start };
      const count = Math.min(end - at, this.#data.length - this.#filled);
      this.#data.set(bytes.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled < this.#data.length) break;
      const wait = this.#complete();
      if (wait !== undefined) return { kind: 'wait', usedBytes: at - start, until: wait };
    }
    return all;
  }

  /** Gives back the buffer of a frame that will not be completed. True where there was one. */
  discard(): boolean {
    if (this.#note === null) return false;
    this.#options.pool.give(this.#data);
    this.#note = null;
    return true;
  }

  #begin(): boolean {
    const note = this.#options.nextNote();
    if (note === undefined) return false;
    this.#note = note;
    this.#size = this.#options.scaledSize(note);
    this.#data = this.#options.pool.take(this.#options.bytesOf(this.#size));
    this.#filled = 0;
    return true;
  }

  #complete(): Promise<void> | undefined {
    const note = this.#note;
    const size = this.#size;
    if (note === null || size === null) return undefined;
    this.#note = null;
    return this.#options.onFrame(note, { ...size, data: this.#data });
  }
}
