import { hash } from 'node:crypto';
import type { ByteCache } from '#shared/core/byte-cache';
import type { JpegImage } from '#shared/core/frame';
import { detectionStride } from './detections.ts';
import type { ImageDetections } from './ports.ts';

export interface DetectionCacheOptions {
  readonly cache: ByteCache;
  /** sha256 of the model file. */
  readonly digest: string;
  /** What else decides the boxes of a picture, as text: the thresholds. */
  readonly rules: string;
  readonly ttlMs: number;
}

/** What of a picture's result is kept. */
export type KnownDetections = Pick<ImageDetections, 'boxes' | 'keypoints' | 'embeddings' | 'notDescribed'>;

/**
 * Boxes by the content of a picture and the model that found them: a frame that comes again, or one that is the same to the byte as an
 * earlier one, is not run again. What is found is checked, for others may write to the store.
 */
export interface DetectionCache {
  find(image: JpegImage): Promise<{ readonly key: string; readonly found: KnownDetections | undefined }>;
  /** Never rejects. */
  keep(key: string, found: KnownDetections): Promise<void>;
}

/** More boxes than a model gives for one picture. */
const maxBoxes = 1_000;

export function createDetectionCache(options: DetectionCacheOptions): DetectionCache {
  const { cache, ttlMs } = options;
  const namespace = `boxes:2:${hash('sha256', `${options.digest}\n${options.rules}`, 'hex').slice(0, 24)}:`;
  return {
    async find(image) {
      const size = `${String(image.widthPx)}x${String(image.heightPx)}`;
      const key = `${namespace}${size}:${hash('sha256', image.data, 'hex')}`;
      const bytes = await cache.get(key);
      return { key, found: typeof bytes === 'string' ? undefined : decode(bytes) };
    },
    async keep(key, found) {
      if (found.boxes.length > maxBoxes * detectionStride) return;
      await cache.put(key, encode(found), ttlMs);
    },
  };
}

/**
 * 32-bit floats, little-endian, whatever the machine: number of boxes, of keypoint values a box, length of an embedding (0 without any), objects
 * that were not described; the boxes; the keypoints; and with embeddings a 1 or 0 for each box and then the vectors of those with a 1.
 */
function encode({ boxes, keypoints, embeddings, notDescribed }: KnownDetections): Uint8Array {
  const count = boxes.length / detectionStride;
  const vectors = embeddings.filter((each) => each !== null);
  const flags = embeddings.map((each) => (each === null ? 0 : 1));
  const head = [count, count === 0 ? 0 : keypoints.length / count, vectors[0]?.length ?? 0, notDescribed];
  const values = [head, boxes, keypoints, vectors.length === 0 ? [] : flags, ...vectors].flatMap((each) =>
    Array.from(each),
  );
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    view.setFloat32(index * 4, value, true);
  });
  return bytes;
}

/** Undefined for anything that `encode` did not write. */
function decode(bytes: Uint8Array): KnownDetections | undefined {
  if (bytes.byteLength % 4 !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = Float32Array.from({ length: bytes.byteLength / 4 }, (_, index) => view.getFloat32(index * 4, true));
  const [count = -1, keypointValues = 0, vectorLength = 0, notDescribed = 0] = values;
  const isCount = (value: number): boolean => Number.isInteger(value) && value >= 0;
  const areCounts = [count, keypointValues, vectorLength, notDescribed].every(isCount);
  if (!areCounts || count > maxBoxes || !values.every(Number.isFinite)) return undefined;
  let at = 4;
  const next = (length: number): Float32Array => values.slice(at, (at += length));
  const boxes = next(count * detectionStride);
  const keypoints = next(count * keypointValues);
  const flags = vectorLength === 0 ? [] : Array.from(next(count));
  const embeddings = flags.map((flag) => (flag === 1 ? next(vectorLength) : null));
  return at === values.length ? { boxes, keypoints, embeddings, notDescribed } : undefined;
}
