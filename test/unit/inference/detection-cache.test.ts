import { expect, test } from 'vitest';
import type { ByteCache } from '#shared/core/byte-cache';
import { createMemoryByteCache } from '#shared/store/memory-byte-cache';
import { boxesAlone } from '../../../services/inference/core/detections.ts';
import { createDetectionCache, type DetectionCache } from '../../../services/inference/core/detection-cache.ts';

const picture = { format: 'jpeg', widthPx: 64, heightPx: 32, data: Uint8Array.of(1, 2, 3) } as const;
const none = { ...boxesAlone, boxes: new Float32Array() };
const boxes = { ...none, boxes: Float32Array.of(1.5, 2, 3, 4, 0.9, 0) };

function over(cache: ByteCache, change: { digest?: string; rules?: string } = {}): DetectionCache {
  return createDetectionCache({ cache, digest: 'd', rules: 'r', ttlMs: 60_000, ...change });
}

test('an equal picture has the boxes of the first', async () => {
  const cache = createMemoryByteCache({ maxBytes: 1000 });
  const first = await over(cache).find(picture);
  expect(first.found).toBeUndefined();
  await over(cache).keep(first.key, boxes);
  expect((await over(cache).find({ ...picture, data: Uint8Array.of(1, 2, 3) })).found).toEqual(boxes);
});

test('that nothing was found is known as well', async () => {
  const cache = over(createMemoryByteCache({ maxBytes: 1000 }));
  await cache.keep((await cache.find(picture)).key, none);
  expect((await cache.find(picture)).found).toEqual(none);
});

test('another picture, model or threshold is another matter', async () => {
  const cache = createMemoryByteCache({ maxBytes: 1000 });
  await over(cache).keep((await over(cache).find(picture)).key, boxes);
  expect((await over(cache).find({ ...picture, data: Uint8Array.of(1, 2, 4) })).found).toBeUndefined();
  expect((await over(cache).find({ ...picture, widthPx: 65 })).found).toBeUndefined();
  expect((await over(cache, { digest: 'e' }).find(picture)).found).toBeUndefined();
  expect((await over(cache, { rules: 's' }).find(picture)).found).toBeUndefined();
});

test('keypoints and embeddings are known as well', async () => {
  const cache = createMemoryByteCache({ maxBytes: 1000 });
  const whole = {
    ...{
      boxes: Float32Array.of(1, 2, 3, 4, 0.5, 0, 5, 6, 7, 8, 0.5, 1),
      keypoints: Float32Array.of(1, 2, 0.5, 3, 4, -1),
    },
    ...{ embeddings: [null, Float32Array.of(0.6, 0.8)], notDescribed: 3 },
  };
  await over(cache).keep((await over(cache).find(picture)).key, whole);
  expect((await over(cache).find(picture)).found).toEqual(whole);
});

const counts = (...values: readonly number[]) => [...new Uint8Array(Float32Array.from(values).buffer)];

test.each([
  [[1, 2, 3]],
  [counts(1, 0, 0, 0, 1, 2, 3)],
  [counts(1, 1e9, 0, 0, 1, 2, 3, 4, 0.5, 0)],
  [counts(-1, 0, 0, 0)],
  [counts(1, 0, 0, 0, 1, 2, 3, 4, Number.NaN, 0)],
])('what is no list of boxes is a miss', async (bytes) => {
  const cache = createMemoryByteCache({ maxBytes: 1000 });
  await cache.put((await over(cache).find(picture)).key, Uint8Array.from(bytes), 60_000);
  expect((await over(cache).find(picture)).found).toBeUndefined();
});

test('a cache that does not answer is a miss', async () => {
  const away: ByteCache = {
    trouble: 'away',
    get: () => Promise.resolve('unavailable'),
    put: () => Promise.resolve('unavailable'),
    close: () => Promise.resolve(),
  };
  const known = await over(away).find(picture);
  expect(known.found).toBeUndefined();
  await expect(over(away).keep(known.key, boxes)).resolves.toBeUndefined();
});
