import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BoundedQueue } from '#shared/core/bounded-queue';

describe('bounded queue', () => {
  test('loses nothing: what went in came out, gave way or still waits, in order', () => {
    const whenFull = fc.constantFrom('drop-oldest' as const, 'reject' as const);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), whenFull, fc.array(fc.boolean()), (capacity, policy, script) => {
        const queue = new BoundedQueue<number>({ name: 'q', capacity, whenFull: policy });
        const taken: number[] = [];
        const displaced: number[] = [];
        let next = 0;
        for (const isOffer of script) {
          const item = isOffer ? queue.offer(next++) : queue.take();
          if (item !== undefined) (isOffer ? displaced : taken).push(item);
          expect(queue.size).toBeLessThanOrEqual(capacity);
        }
        for (let item = queue.take(); item !== undefined; item = queue.take()) taken.push(item);
        expect(taken).toEqual([...taken].sort((a, b) => a - b));
        expect([...taken, ...displaced].sort((a, b) => a - b)).toEqual(
          Array.from({ length: next }, (_, index) => index),
        );
      }),
    );
  });

  test('drops the oldest item or rejects the new one when it is full', () => {
    const ring = new BoundedQueue<string>({ name: 'ring', capacity: 1, whenFull: 'drop-oldest' });
    ring.offer('a');
    expect(ring.offer('b')).toBe('a');
    const line = new BoundedQueue<string>({ name: 'line', capacity: 1, whenFull: 'reject' });
    line.offer('a');
    expect(line.offer('b')).toBe('b');
  });
});
