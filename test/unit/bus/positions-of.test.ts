import { describe, expect, it } from 'vitest';
import { positionsOf } from '../../../services/shared/bus/kafka/positions-of.ts';

describe('positions as a client finds them', () => {
  it('are those of the partitions that were asked for, undefined where there is none yet', () => {
    const found = new Map([
      [0, 7n],
      [1, undefined],
      [2, 9n],
    ]);
    expect([...positionsOf([0, 1], found)]).toEqual([
      [0, 7n],
      [1, undefined],
    ]);
  });

  it('are asked for again where the answer leaves out a partition', () => {
    for (const found of [new Map<number, bigint>(), new Map([[0, 7n]])])
      expect(() => positionsOf([0, 1], found)).toThrow(
        expect.objectContaining({ code: 'SIGHTLINE_KAFKA_FAILED', retryable: true }),
      );
  });
});
