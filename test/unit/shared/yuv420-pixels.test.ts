import { expect, test } from 'vitest';
import { yuv420Bytes, rgbOfYuv, fullRange, limitedRange } from '#shared/core/yuv420';
import { rgbPixels } from '#shared/core/yuv420-pixels';

test.each([
  [16, 16, false],
  [7, 5, false],
  [9, 4, true],
  [1, 1, false],
])(
  'the pixels of a picture of %i x %i are those of the exact rule, give or take 1',
  (widthPx, heightPx, isFullRange) => {
    const data = Uint8Array.from(
      { length: yuv420Bytes({ widthPx, heightPx }) },
      (_, index) => (index * 89 + (index >> 3)) & 255,
    );
    const rgb = rgbPixels({ format: 'yuv420p', widthPx, heightPx, data, isFullRange });
    expect(rgb).toHaveLength(widthPx * heightPx * 3);
    const colours = Math.ceil(widthPx / 2);
    const [u, v] = [widthPx * heightPx, widthPx * heightPx + colours * Math.ceil(heightPx / 2)];
    for (let row = 0; row < heightPx; row++) {
      for (let column = 0; column < widthPx; column++) {
        const at = (row >> 1) * colours + (column >> 1);
        const [y1 = 0, u1 = 0, v1 = 0] = [data[row * widthPx + column], data[u + at], data[v + at]];
        const exact = rgbOfYuv(y1, u1, v1, isFullRange ? fullRange : limitedRange);
        for (const [index, value] of exact.entries())
          expect(Math.abs(value - (rgb[(row * widthPx + column) * 3 + index] ?? NaN))).toBeLessThanOrEqual(1);
      }
    }
  },
);
