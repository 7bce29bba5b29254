import { expect, test } from 'vitest';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';

test('hands a buffer out again that came back', () => {
  const pool = createFrameBufferPool({ maxBytes: 1000 });
  const data = pool.take(100);
  pool.give(data);
  expect(pool.heldBytes).toBe(100);
  expect(pool.take(100)).toBe(data);
  expect(pool.heldBytes).toBe(0);
});

test('keeps no more than its limit', () => {
  const pool = createFrameBufferPool({ maxBytes: 250 });
  for (let count = 0; count < 5; count++) pool.give(new Uint8Array(100));
  expect(pool.heldBytes).toBe(200);
});

test('lets sizes go that are no longer used when a new size comes back', () => {
  const pool = createFrameBufferPool({ maxBytes: 250 });
  pool.give(new Uint8Array(100));
  pool.give(new Uint8Array(100));
  const large = new Uint8Array(200);
  pool.give(large);
  expect(pool.take(200)).toBe(large);
});

test('refuses a buffer that was transferred away and a view of a larger one', () => {
  const pool = createFrameBufferPool({ maxBytes: 1000 });
  const data = new Uint8Array(100);
  structuredClone(data, { transfer: [data.buffer] });
  pool.give(data);
  pool.give(new Uint8Array(100).subarray(0, 50));
  expect(pool.heldBytes).toBe(0);
});
