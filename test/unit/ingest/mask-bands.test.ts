import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BoundingBoxRecord, PointRecord } from '#schemas';
import { maskBands, maxMaskBands } from '../../../services/ingest/core/mask-bands.ts';

const at = (x: number, y: number): PointRecord => ({ x, y });

function covers(bands: readonly BoundingBoxRecord[], x: number, y: number): boolean {
  const slack = 1e-9;
  return bands.some(
    (band) =>
      x >= band.x - slack &&
      x <= band.x + band.width + slack &&
      y >= band.y - slack &&
      y <= band.y + band.height + slack,
  );
}

describe('the rectangles of masks', () => {
  test('are one for a rectangle', () => {
    expect(maskBands([[at(0.25, 0.5), at(0.75, 0.5), at(0.75, 1), at(0.25, 1)]])).toEqual([
      { x: 0.25, y: 0.5, width: 0.5, height: 0.5 },
    ]);
  });

  test('leave free what lies between the arms of a mask', () => {
    const arms = [
      ...[at(0, 0), at(0.25, 0), at(0.25, 0.5), at(0.75, 0.5)],
      ...[at(0.75, 0), at(1, 0), at(1, 1), at(0, 1)],
    ];
    const bands = maskBands([arms]);
    expect(covers(bands, 0.5, 0.25)).toBe(false);
    expect(covers(bands, 0.125, 0.25)).toBe(true);
    expect(covers(bands, 0.875, 0.25)).toBe(true);
    expect(covers(bands, 0.5, 0.75)).toBe(true);
  });

  test('cover the middle of a star that is drawn in one stroke', () => {
    const star = [0, 2, 4, 1, 3].map((tip) =>
      at(0.5 + 0.5 * Math.sin((tip * 2 * Math.PI) / 5), 0.5 - 0.5 * Math.cos((tip * 2 * Math.PI) / 5)),
    );
    expect(covers(maskBands([star]), 0.5, 0.5)).toBe(true);
  });

  test('are bounded in number, and cover all masks even so', () => {
    const many = Array.from({ length: 64 }, (_, index) => [
      at(index / 64, 0),
      at((index + 1) / 64, 0.3),
      at(index / 64, 1),
      at((index + 0.2) / 64, 0.2),
    ]);
    const bands = maskBands(many);
    expect(bands.length).toBeLessThanOrEqual(maxMaskBands);
    for (const polygon of many) for (const { x, y } of polygon) expect(covers(bands, x, y)).toBe(true);
  });

  test('cover every point of any polygon, corners and edges too', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const point = fc.record({ x: share, y: share });
    const polygon = fc.array(point, { minLength: 3, maxLength: 8 });
    fc.assert(
      fc.property(polygon, fc.array(fc.tuple(fc.nat(), share, share), { maxLength: 20 }), (corners, picks) => {
        const bands = maskBands([corners]);
        for (const [index, along, between] of picks) {
          const one = corners[index % corners.length] ?? at(0, 0);
          const next = corners[(index + 1) % corners.length] ?? at(0, 0);
          // Of an edge, and, for three corners, of what they enclose.
          const x = one.x + (next.x - one.x) * along;
          const y = one.y + (next.y - one.y) * along;
          expect(covers(bands, x, y)).toBe(true);
          const third = corners[2] ?? at(0, 0);
          if (corners.length === 3)
            expect(covers(bands, x + (third.x - x) * between, y + (third.y - y) * between)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});
