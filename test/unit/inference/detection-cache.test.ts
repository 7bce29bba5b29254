import { expect, test } from 'vitest';
import type { ByteCache } from '#shared/core/byte-cache';
import { createMemoryByteCache } from '#shared/store/memory-byte-cache';
import { createDetectionCache, type DetectionCache } from '../../../services/inference/core/detection-cache.ts';

const picture = { format: 'jpeg', widthPx: 64, heightPx: 32, data: Uint8Array.of(1, 2, 3) } as const;
const boxes = Float32Array.of(1.5, 2, 3, 4, 0.9, 0);

function over(cache: ByteCache, change: { digest?: string; rules?: string } = {}): DetectionCache {
  return createDetectionCache({ cache, digest: 'd', rules: 'r', ttlMs: 60_000, ...change });
}

test('an equal picture has the boxes of the first', async () => {
  const cache = createMemoryByteCache({ maxBytes: 1000 });
  const first = await over(cache).find(picture);
  expect(first.boxes).toBeUndefined();
  await over(cache).keep(first.key, boxes);
  expect((await over(cache).find({ ...picture, data: Uint8Array.of(1, 2, 3) })).boxes).toEqual(boxes);
});

test('that nothing was found is known as well', async () => {
  const cache = over(createMemoryByteCache({ maxBytes: 1000 }));
  await cache.keep((await cache.find(picture)).key, new Float32Array());
  expect((await cache.find(picture)).boxes).toEqual(new Float32Array());
});

test('another picture, model or threshold is another matter', async () => {
  const cache = createMemoryByteCache({ maxBytes: 1000 });
  await over(cache).keep((await over(cache).find(picture)).key, boxes);
  expect((await over(cache).find({ ...picture, data: Uint8Array.of(1, 2, 4) })).boxes).toBeUndefined();
  expect((await over(cache).find({ ...picture, widthPx: 65 })).boxes).toBeUndefined();
  expect((await over(cache, { digest: 'e' }).find(picture)).boxes).toBeUndefined();
  expect((await over(cache, { rules: 's' }).find(picture)).boxes).toBeUndefined();
});

test.each([[[1, 2, 3]], [[...new Uint8Array(Float32Array.of(1, 2, 3, 4, Number.NaN, 0).buffer)]]])(
  'what is no list of boxes is a miss',
  async (bytes) => {
    const cache = createMemoryByteCache({ maxBytes: 1000 });
    await cache.put((await over(cache).find(picture)).key, Uint8Array.from(bytes), 60_000);
    expect((await over(cache).find(picture)).boxes).toBeUndefined();
  },
);

test('a cache that does not answer is a miss', async () => {
  const away: ByteCache = {
    trouble: 'away',
    get: () => Promise.resolve('unavailable'),
    put: () => Promise.resolve('unavailable'),
    close: () => Promise.resolve(),
  };
  const found = await over(away).find(picture);
  expect(found.boxes).toBeUndefined();
  await expect(over(away).keep(found.key, boxes)).resolves.toBeUndefined();
});
