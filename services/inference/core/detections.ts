/**
 * Boxes as they travel between decoder, suppression and threads: six numbers each, x1 y1 x2 y2 (pixels of the model's input), score,
 * class index. One typed array instead of an object a box, because a decoder sees hundreds of candidates a frame.
 */
export const detectionStride = 6;

/** Keypoints travel beside the boxes, three numbers each: x y (pixels of the model's input), score (`noScore` where the model gives none). */
export const keypointStride = 3;
export const noScore = -1;

/** What a model that gives boxes alone says of them otherwise. */
export const boxesAlone = { keypoints: new Float32Array(), embeddings: [], notDescribed: 0 } as const;

/** A list of boxes that grows and is used again for the next frame. */
export interface CandidateList {
  readonly count: number;
  readonly values: Float32Array;
  /** `keypointValues` numbers for each box; a decoder fills those of the box that it has just pushed by `keypointsOfLast`. */
  readonly keypoints: Float32Array;
  readonly keypointValues: number;
  push(x1: number, y1: number, x2: number, y2: number, score: number, classIndex: number): void;
  keypointsOfLast(): Float32Array;
  clear(): void;
}

export function createCandidateList({ initialCapacity = 512, keypoints: points = 0 } = {}): CandidateList {
  const keypointValues = points * keypointStride;
  let values = new Float32Array(initialCapacity * detectionStride);
  let keypoints = new Float32Array(initialCapacity * keypointValues);
  let count = 0;
  return {
    get count() {
      return count;
    },
    get values() {
      return values;
    },
    get keypoints() {
      return keypoints;
    },
    keypointValues,
    push(x1, y1, x2, y2, score, classIndex) {
      let at = count * detectionStride;
      if (at === values.length) {
        values = doubled(values);
        keypoints = doubled(keypoints);
      }
      values[at++] = x1;
      values[at++] = y1;
      values[at++] = x2;
      values[at++] = y2;
      values[at++] = score;
      values[at] = classIndex;
      count++;
    },
    keypointsOfLast: () => keypoints.subarray((count - 1) * keypointValues, count * keypointValues),
    clear() {
      count = 0;
    },
  };
}

function doubled(values: Float32Array): Float32Array<ArrayBuffer> {
  const grown = new Float32Array(values.length * 2);
  grown.set(values);
  return grown;
}
