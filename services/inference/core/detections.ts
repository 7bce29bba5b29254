/**
 * Boxes as they travel between decoder, suppression and threads: six numbers each, x1 y1 x2 y2 (pixels of the model's input), score,
 * class index. One typed array instead of an object a box, because a decoder sees hundreds of candidates a frame.
 */
export const detectionStride = 6;

/** A list of boxes that grows and is used again for the next frame. */
export interface CandidateList {
  readonly count: number;
  readonly values: Float32Array;
  push(x1: number, y1: number, x2: number, y2: number, score: number, classIndex: number): void;
  clear(): void;
}

export function createCandidateList(initialCapacity = 512): CandidateList {
  let values = new Float32Array(initialCapacity * detectionStride);
  let count = 0;
  return {
    get count() {
      return count;
    },
    get values() {
      return values;
    },
    push(x1, y1, x2, y2, score, classIndex) {
      let at = count * detectionStride;
      if (at === values.length) {
        const grown = new Float32Array(values.length * 2);
        grown.set(values);
        values = grown;
      }
      values[at++] = x1;
      values[at++] = y1;
      values[at++] = x2;
      values[at++] = y2;
      values[at++] = score;
      values[at] = classIndex;
      count++;
    },
    clear() {
      count = 0;
    },
  };
}
