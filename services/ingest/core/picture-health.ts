import type { CameraChange } from './camera-state.ts';
import type { LumaPlane } from '#shared/core/frame';

export type PictureTrouble = 'NONE' | 'DARK' | 'FROZEN';

export interface PictureHealthOptions {
  /** Dark for this long counts. Default 5000. */
  readonly darkAfterMs?: number;
  /**
   * Without any change for this long the picture counts as frozen. Default 30000: an encoder that skips still blocks repeats a picture
   * exactly until its next keyframe, which may be 10 s away; sensor noise then changes it.
   */
  readonly frozenAfterMs?: number;
}

/** Points looked at in a picture: enough to see that sensor noise lives, few enough to cost a few microseconds. */
const sampleTarget = 2000;
/** Above black; a covered lens or a camera without light gives 0..8, the darkest street at night still has its lamps. */
const darkLevel = 18;
const darkShare = 0.98;
/** ffmpeg's scaler and decoder are exact, so a repeated picture is equal to the bit; 1 is left for encoders that breathe. */
const sameWithin = 1;

/**
 * Whether a picture that arrives also shows something. Looks at a lattice of points of the brightness. ffmpeg's blackframe and freezedetect say the same for twenty times the cost.
 */
export class PictureHealth {
  readonly #darkAfterMs: number;
  readonly #frozenAfterMs: number;
  #samples = new Uint8Array(0);
  #shape = 0;
  #darkSinceMs: number | null = null;
  #sameSinceMs: number | null = null;

  constructor(options: PictureHealthOptions = {}) {
    this.#darkAfterMs = options.darkAfterMs ?? 5_000;
    this.#frozenAfterMs = options.frozenAfterMs ?? 30_000;
  }

  /** `nowMs` is any clock that runs evenly with the pictures: arrival for a camera, presentation time for a file. */
  check(image: LumaPlane, nowMs: number): PictureTrouble {
    const { data, widthPx, heightPx, black = 0 } = image;
    const planeSize = widthPx * heightPx;
    // An odd step that is no divisor of the width walks over all columns.
    let step = Math.max(1, Math.floor(planeSize / sampleTarget)) | 1;
    if (step > 1 && widthPx % step === 0) step += 2;
    const count = Math.ceil(planeSize / step);
    const isFirst = this.#samples.length !== count || this.#shape !== widthPx;
    if (isFirst) {
      this.#samples = new Uint8Array(count);
      this.#shape = widthPx;
    }
    const samples = this.#samples;
    let dark = 0;
    let changed = 0;
    for (let index = 0, at = 0; at < planeSize; index++, at += step) {
      const value = data[at] ?? 0;
      const difference = value - (samples[index] ?? 0);
      if (difference > sameWithin || difference < -sameWithin) changed++;
      if (value < black + darkLevel) dark++;
      samples[index] = value;
    }
    const isDark = dark >= count * darkShare;
    this.#darkSinceMs = isDark ? (this.#darkSinceMs ?? nowMs) : null;
    this.#sameSinceMs = changed === 0 && !isFirst ? (this.#sameSinceMs ?? nowMs) : null;
    // Darkness first: a black picture does not change either.
    if (this.#darkSinceMs !== null && nowMs - this.#darkSinceMs >= this.#darkAfterMs) return 'DARK';
    if (this.#sameSinceMs !== null && nowMs - this.#sameSinceMs >= this.#frozenAfterMs) return 'FROZEN';
    return 'NONE';
  }
}

/** What is told of a camera whose pictures are so. */
export function changeForTrouble(trouble: PictureTrouble): CameraChange {
  switch (trouble) {
    case 'NONE':
      return { state: 'ONLINE', reason: 'NONE', text: 'pictures arrive' };
    case 'DARK':
      return {
        state: 'DEGRADED',
        reason: 'DARK',
        text: 'pictures arrive, but they are black: look for a covered lens or a missing light',
      };
    case 'FROZEN':
      return {
        state: 'DEGRADED',
        reason: 'FROZEN',
        text: 'pictures arrive, but they do not change: restart the camera',
      };
  }
}
