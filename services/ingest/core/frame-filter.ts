/* eslint-disable @typescript-eslint/no-non-null-assertion -- hot loops over typed arrays whose bounds are those of the loops; a check costs a third more */
import type { MotionRecord } from '#schemas';
import type { LumaPlane } from '#shared/core/frame';
import { findChangedRegions } from './changed-regions.ts';
import { createLumaGrid, fillLumaGrid, type LumaGrid } from './luma-grid.ts';

export interface FrameFilterOptions {
  /** At least one frame in this time is analysed whatever it shows, so that no camera goes dark. Default 2000. */
  readonly floorIntervalMs?: number;
  /** Frames this long after the last motion are kept too: what moved is mostly still there. Default 1000. */
  readonly holdMs?: number;
}

export interface FilterVerdict {
  readonly keep: boolean;
  /** What changed, for the record of a kept frame. */
  readonly motion: MotionRecord;
}

/** Below this a cell does not count as changed whatever the noise: 3 grey levels of 255. In sums of a cell, as all levels here. */
const lowestThreshold = 3 * 16;
/** A cell counts as changed beyond this many times the noise of the picture (median deviation of its cells). */
const noiseFactor = 6;
/** And beyond this share of its own brightness: what is left of an exposure step after its correction is proportional to it. */
const brightnessShare = 1 / 60;
/** A region of fewer changed cells is smaller than what a detector can name: 8 cells are 128 pixels of the inference picture. */
const minimumRegionCells = 8;
/** Exposure is corrected apart in bands of brightness, for a step of exposure moves bright cells more than dark ones. */
const bandCount = 16;
const bandShift = 8;
const levelsPerCell = 4096;
/** A band with fewer cells takes the shift of the whole picture. */
const minimumBandCells = 64;
/** Differences are counted in steps of one grey level, -128..127; what lies outside counts as the outermost. */
const histogramSize = 256;
const histogramCentre = 128;

const everything: MotionRecord = { score: 1, regions: [{ x: 0, y: 0, width: 1, height: 1 }] };

/**
 * Tells frames in which something changed from repetitions of a scene. Reducto's idea: a cheap difference from the last frame that was
 * analysed decides what the expensive model sees, with a threshold that adapts to the camera. That reference is renewed at least every
 * `floorIntervalMs`, so slow drifts of light never build up; slow movement does build up, since skipped frames do not renew it. (A running
 * background was tried: on real clips it took the changed light that a passing car or person leaves behind for a thing in the scene, and
 * kept 9 of 10 empty frames where this keeps half.) Robust to steps of exposure (median shift per band of brightness) and to noise
 * (the threshold is a multiple of the picture's own median deviation).
 */
export class FrameFilter {
  readonly #floorIntervalMs: number;
  readonly #holdMs: number;
  #grid: LumaGrid | null = null;
  #widthPx = 0;
  #heightPx = 0;
  /** The last frame that was kept. */
  #reference: LumaGrid | null = null;
  #changed = new Uint8Array(0);
  readonly #histograms = new Uint32Array(bandCount * histogramSize);
  readonly #whole = new Uint32Array(histogramSize);
  readonly #bandShifts = new Int32Array(bandCount);
  #noise = 16;
  #lastMotionMs = -Infinity;
  #lastKeptMs = -Infinity;

  constructor(options: FrameFilterOptions = {}) {
    this.#floorIntervalMs = options.floorIntervalMs ?? 2_000;
    this.#holdMs = options.holdMs ?? 1_000;
  }

  /** `nowMs` is any clock that runs evenly with the pictures. Reads the image and keeps nothing of it. */
  judge(image: LumaPlane, nowMs: number): FilterVerdict {
    if (this.#grid === null || image.widthPx !== this.#widthPx || image.heightPx !== this.#heightPx) {
      this.#grid = createLumaGrid(image.widthPx, image.heightPx);
      this.#changed = new Uint8Array(this.#grid.cells.length);
      this.#reference = null;
      this.#widthPx = image.widthPx;
      this.#heightPx = image.heightPx;
    }
    const grid = this.#grid;
    fillLumaGrid(grid, image);
    const motion = this.#reference === null ? everything : this.#compare(grid, this.#reference);
    // Time that goes back (a clip starting over) must not hold frames back.
    if (nowMs < this.#lastKeptMs) this.#lastKeptMs = -Infinity;
    if (nowMs < this.#lastMotionMs) this.#lastMotionMs = -Infinity;
    if (motion.regions.length > 0) this.#lastMotionMs = nowMs;
    const keep = nowMs - this.#lastMotionMs <= this.#holdMs || nowMs - this.#lastKeptMs >= this.#floorIntervalMs;
    if (keep) {
      this.#lastKeptMs = nowMs;
      this.#grid = this.#reference ?? createLumaGrid(image.widthPx, image.heightPx);
      this.#reference = grid;
    }
    return { keep, motion };
  }

  #compare(grid: LumaGrid, reference: LumaGrid): MotionRecord {
    const { cells } = grid;
    const before = reference.cells;
    const changed = this.#changed;
    this.#measureShifts(cells, before);
    const shifts = this.#bandShifts;
    const base = Math.max(lowestThreshold, this.#noise * noiseFactor);
    let changedCount = 0;
    for (let cell = 0; cell < cells.length; cell++) {
      const level = before[cell]!;
      const difference = cells[cell]! - level - shifts[level >> bandShift]!;
      const threshold = base + level * brightnessShare;
      const isChanged = difference > threshold || difference < -threshold ? 1 : 0;
      changed[cell] = isChanged;
      changedCount += isChanged;
    }
    const score = changedCount / cells.length;
    if (changedCount < minimumRegionCells) return { score, regions: [] };
    return {
      score,
      regions: findChangedRegions(changed, grid.columns, grid.rows, { minimumCells: minimumRegionCells }),
    };
  }

  /** The median difference of each band of brightness, and the noise that is left around it. */
  #measureShifts(cells: Uint16Array, before: Uint16Array): void {
    const histograms = this.#histograms.fill(0);
    for (let cell = 0; cell < cells.length; cell++) {
      const level = before[cell]!;
      const step = (cells[cell]! - level + 8) >> 4;
      const inside = step < -histogramCentre ? -histogramCentre : step >= histogramCentre ? histogramCentre - 1 : step;
      const slot = (level >> bandShift) * histogramSize + histogramCentre + inside;
      histograms[slot] = histograms[slot]! + 1;
    }
    const whole = this.#whole.fill(0);
    for (let slot = 0; slot < histograms.length; slot++) {
      const level = slot & (histogramSize - 1);
      whole[level] = whole[level]! + histograms[slot]!;
    }
    const wholeShift = medianOf(whole, 0, cells.length);
    let deviationSum = 0;
    for (let band = 0; band < bandCount; band++) {
      const start = band * histogramSize;
      let count = 0;
      for (let slot = start; slot < start + histogramSize; slot++) count += histograms[slot]!;
      const shift = count < minimumBandCells ? wholeShift : medianOf(histograms, start, count);
      this.#bandShifts[band] = shift * 16;
      deviationSum += count * deviationAround(histograms, start, count, shift);
    }
    // Smoothed: one noisy frame (a keyframe, a flash) must not blind the next ones.
    const deviation = (deviationSum / cells.length) * 16;
    this.#noise += (Math.min(deviation, levelsPerCell / 16) - this.#noise) / 8;
  }
}

function medianOf(histogram: Uint32Array, start: number, count: number): number {
  let below = 0;
  for (let slot = 0; slot < histogramSize; slot++) {
    below += histogram[start + slot]!;
    if (below * 2 >= count && below > 0) return slot - histogramCentre;
  }
  return 0;
}

/** Median absolute deviation in grey levels, with a share of a level where the median falls inside the first. */
function deviationAround(histogram: Uint32Array, start: number, count: number, shift: number): number {
  if (count === 0) return 0;
  const centre = start + histogramCentre + shift;
  let within = histogram[centre]!;
  if (within * 2 >= count) return (0.5 * count) / (2 * within);
  const end = start + histogramSize;
  for (let distance = 1; distance < histogramSize; distance++) {
    const low = centre - distance >= start ? histogram[centre - distance]! : 0;
    const high = centre + distance < end ? histogram[centre + distance]! : 0;
    within += low + high;
    if (within * 2 >= count) return distance;
  }
  return histogramSize;
}
