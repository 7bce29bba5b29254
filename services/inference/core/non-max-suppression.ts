import { detectionStride, type CandidateList } from './detections.ts';

/**
 * No more candidates than these go into the comparison of pairs, best first. The reference implementations have the same limit; it
 * bounds the time that a picture full of noise (or a threshold near 0) can cost.
 */
export const suppressionLimit = 1000;

export interface FoundBoxes {
  readonly boxes: Float32Array;
  /** Those of all boxes one after another; empty for a model without any. */
  readonly keypoints: Float32Array;
}

/**
 * Greedy suppression per class: a box goes when one of its class with a higher score overlaps it by more than `iouThreshold`.
 * Gives the boxes that stay, best first, equal scores in the order they were found; at most `maxObjects`.
 */
export function suppressNonMaxima(candidates: CandidateList, iouThreshold: number, maxObjects: number): FoundBoxes {
  const { values, count, keypointValues } = candidates;
  const at = (index: number): number => values[index] ?? 0;
  const order = Array.from({ length: count }, (_, index) => index * detectionStride);
  order.sort((a, b) => at(b + 4) - at(a + 4) || a - b);
  if (order.length > suppressionLimit) order.length = suppressionLimit;

  const kept: number[] = [];
  for (const candidate of order) {
    if (kept.length === maxObjects) break;
    const isHidden = kept.some(
      (other) => at(other + 5) === at(candidate + 5) && intersectionOverUnion(values, other, candidate) > iouThreshold,
    );
    if (!isHidden) kept.push(candidate);
  }

  const boxes = new Float32Array(kept.length * detectionStride);
  const keypoints = new Float32Array(kept.length * keypointValues);
  kept.forEach((offset, index) => {
    boxes.set(values.subarray(offset, offset + detectionStride), index * detectionStride);
    if (keypointValues === 0) return;
    const from = (offset / detectionStride) * keypointValues;
    keypoints.set(candidates.keypoints.subarray(from, from + keypointValues), index * keypointValues);
  });
  return { boxes, keypoints };
}

/** Overlap of the boxes that start at `a` and `b` in `values`; 0 where they do not touch or have no area. */
export function intersectionOverUnion(values: Float32Array, a: number, b: number): number {
  const at = (index: number): number => values[index] ?? 0;
  const width = Math.min(at(a + 2), at(b + 2)) - Math.max(at(a), at(b));
  const height = Math.min(at(a + 3), at(b + 3)) - Math.max(at(a + 1), at(b + 1));
  if (width <= 0 || height <= 0) return 0;
  const intersection = width * height;
  const areaA = (at(a + 2) - at(a)) * (at(a + 3) - at(a + 1));
  const areaB = (at(b + 2) - at(b)) * (at(b + 3) - at(b + 1));
  return intersection / (areaA + areaB - intersection);
}
