import { hash } from 'node:crypto';
import type { ByteCache } from '#shared/core/byte-cache';
import type { JpegImage } from '#shared/core/frame';
import { detectionStride } from './detections.ts';

export interface DetectionCacheOptions {
  readonly cache: ByteCache;
  /** sha256 of the model file. */
  readonly digest: string;
  /** What else decides the boxes of a picture, as text: the thresholds. */
  readonly rules: string;
  readonly ttlMs: number;
}

/**
 * Boxes by the content of a picture and the model that found them: a frame that comes again, or one that is the same to the byte as an
 * earlier one, is not run again. What is found is checked, for others may write to the store.
 */
export interface DetectionCache {
  find(image: JpegImage): Promise<{ readonly key: string; readonly boxes: Float32Array | undefined }>;
  /** Never rejects. */
  keep(key: string, boxes: Float32Array): Promise<void>;
}

/** More boxes than a model gives for one picture. */
const maxBoxes = 1_000;

export function createDetectionCache(options: DetectionCacheOptions): DetectionCache {
  const { cache, ttlMs } = options;
  const namespace = `boxes:1:${hash('sha256', `${options.digest}\n${options.rules}`, 'hex').slice(0, 24)}:`;
  return {
    async find(image) {
      const size = `${String(image.widthPx)}x${String(image.heightPx)}`;
      const key = `${namespace}${size}:${hash('sha256', image.data, 'hex')}`;
      const found = await cache.get(key);
      return { key, boxes: typeof found === 'string' ? undefined : decode(found) };
    },
    async keep(key, boxes) {
      if (boxes.length > maxBoxes * detectionStride) return;
      await cache.put(key, encode(boxes), ttlMs);
    },
  };
}

/** Little-endian, whatever the machine. */
function encode(boxes: Float32Array): Uint8Array {
  const bytes = new Uint8Array(boxes.length * 4);
  const view = new DataView(bytes.buffer);
  boxes.forEach((value, index) => {
    view.setFloat32(index * 4, value, true);
  });
  return bytes;
}

function decode(bytes: Uint8Array): Float32Array | undefined {
  const count = bytes.byteLength / (4 * detectionStride);
  if (!Number.isInteger(count) || count > maxBoxes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const boxes = Float32Array.from({ length: count * detectionStride }, (_, index) => view.getFloat32(index * 4, true));
  return boxes.every(Number.isFinite) ? boxes : undefined;
}
