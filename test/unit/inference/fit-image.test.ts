import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PixelImage } from '#shared/core/frame';
import type { InputGeometry } from '#shared/core/inference-geometry';
import { scaleImage, wantedSize } from '../../../services/inference/core/fit-image.ts';

const input: InputGeometry = {
  widthPx: 320,
  heightPx: 320,
  resize: { mode: 'letterbox', anchor: 'top_left', padValue: 114, shape: 'fixed' },
};
const source = { sourceWidthPx: 1920, sourceHeightPx: 1080 };

function image(
  format: 'gbrp' | 'rgb24',
  widthPx: number,
  heightPx: number,
  fill: (index: number) => number,
): PixelImage {
  return { format, widthPx, heightPx, data: Uint8Array.from({ length: widthPx * heightPx * 3 }, (_, at) => fill(at)) };
}

test('a picture that was scaled for this input stays as it is, also where a row was rounded', () => {
  expect(wantedSize(source, { widthPx: 320, heightPx: 180 }, input)).toBeNull();
  expect(wantedSize(source, { widthPx: 320, heightPx: 179 }, input)).toBeNull();
});

test('a picture for a larger, smaller or stretched input gets the size for this one', () => {
  const wanted = { widthPx: 320, heightPx: 180 };
  expect(wantedSize(source, { widthPx: 416, heightPx: 234 }, input)).toEqual(wanted);
  expect(wantedSize(source, { widthPx: 192, heightPx: 108 }, input)).toEqual(wanted);
  expect(wantedSize(source, { widthPx: 320, heightPx: 320 }, input)).toEqual(wanted);
  expect(wantedSize(source, { widthPx: 416, heightPx: 234 }, { ...input, resize: { mode: 'stretch' } })).toEqual({
    widthPx: 320,
    heightPx: 320,
  });
});

test('of a frame that was cut out it is the region that is scaled', () => {
  const crop = { x: 0, y: 0, width: 0.5, height: 1 };
  expect(wantedSize({ ...source, crop }, { widthPx: 370, heightPx: 416 }, input)).toEqual({
    widthPx: 284,
    heightPx: 320,
  });
});

test.each(['gbrp', 'rgb24'] as const)('halving takes the mean of what each pixel covers, in %s', (format) => {
  // Columns of 0 and 200, one after another.
  const step = format === 'gbrp' ? 1 : 3;
  const striped = image(format, 8, 4, (at) => (Math.floor(at / step) % 2) * 200);
  const scaled = scaleImage(striped, { widthPx: 4, heightPx: 2 });
  expect([scaled.widthPx, scaled.heightPx, scaled.data.length]).toEqual([4, 2, 24]);
  for (const value of scaled.data) expect(value).toBeGreaterThan(80);
  for (const value of scaled.data) expect(value).toBeLessThan(120);
});

test('keeps an even picture even and its channels apart, whatever the sizes', () => {
  const side = fc.integer({ min: 1, max: 40 });
  fc.assert(
    fc.property(side, side, side, side, fc.boolean(), (width, height, toWidth, toHeight, isPlanar) => {
      const colours = [10, 120, 250];
      const plane = width * height;
      const from = isPlanar
        ? image('gbrp', width, height, (at) => colours[Math.floor(at / plane)] ?? 0)
        : image('rgb24', width, height, (at) => colours[at % 3] ?? 0);
      const { data } = scaleImage(from, { widthPx: toWidth, heightPx: toHeight });
      const toPlane = toWidth * toHeight;
      const isKept = data.every((value, at) => value === colours[isPlanar ? Math.floor(at / toPlane) : at % 3]);
      expect(isKept).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test('scales brightness and colour of a camera picture, odd sizes too', () => {
  const yuv = (widthPx: number, heightPx: number): PixelImage => {
    const chroma = Math.ceil(widthPx / 2) * Math.ceil(heightPx / 2);
    const values = [[widthPx * heightPx, 80] as const, [chroma, 90] as const, [chroma, 240] as const];
    const data = Uint8Array.from(values.flatMap(([count, value]) => Array.from({ length: count }, () => value)));
    return { format: 'yuv420p', widthPx, heightPx, data };
  };
  expect(scaleImage(yuv(41, 23), { widthPx: 31, heightPx: 17 })).toEqual(yuv(31, 17));
  expect(scaleImage(yuv(20, 10), { widthPx: 33, heightPx: 15 })).toEqual(yuv(33, 15));
});
