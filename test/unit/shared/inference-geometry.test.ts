import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cropFractions,
  cropRectangle,
  inferenceSize,
  placeImage,
  toPictureBox,
  type InputGeometry,
} from '#shared/core/inference-geometry';

const letterbox: InputGeometry = {
  widthPx: 416,
  heightPx: 416,
  resize: { mode: 'letterbox', anchor: 'top_left', padValue: 114, shape: 'fixed' },
};
const centred: InputGeometry = {
  ...letterbox,
  resize: { mode: 'letterbox', anchor: 'centre', padValue: 114, shape: 'fixed' },
};
const stretched: InputGeometry = { widthPx: 320, heightPx: 256, resize: { mode: 'stretch' } };

describe('inferenceSize', () => {
  test.each([
    [768, 576, 416, 312],
    [768, 432, 416, 234],
    [641, 359, 416, 232],
    [359, 641, 232, 416],
    [1, 1, 416, 416],
    [7680, 4320, 416, 234],
    [10_000, 10, 416, 1],
    [10, 10_000, 1, 416],
  ])('keeps the aspect of %ix%i as %ix%i', (width, height, expectedWidth, expectedHeight) => {
    expect(inferenceSize(width, height, letterbox)).toEqual({ widthPx: expectedWidth, heightPx: expectedHeight });
  });

  test('pulls a picture to the size of an input that stretches', () => {
    expect(inferenceSize(641, 359, stretched)).toEqual({ widthPx: 320, heightPx: 256 });
  });

  test('fills one side, never exceeds the other, and errs by less than a pixel', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16_384 }), fc.integer({ min: 1, max: 16_384 }), (width, height) => {
        const size = inferenceSize(width, height, letterbox);
        const ratio = Math.min(416 / width, 416 / height);
        expect(Math.max(size.widthPx, size.heightPx)).toBe(416);
        for (const [scaled, source] of [
          [size.widthPx, width],
          [size.heightPx, height],
        ] as const) {
          expect(Number.isInteger(scaled) && scaled >= 1 && scaled <= 416).toBe(true);
          if (scaled > 1) expect(Math.abs(scaled - source * ratio)).toBeLessThan(1);
        }
      }),
    );
  });
});

describe('toPictureBox', () => {
  test('gives back the box that was drawn into the scaled picture, also for odd sizes, centred and cropped', () => {
    const side = fc.integer({ min: 1, max: 5000 });
    const share = fc.integer({ min: 1, max: 9999 }).map((value) => value / 10_000);
    fc.assert(
      fc.property(
        fc.tuple(side, side),
        fc.constantFrom(letterbox, centred, stretched),
        fc.tuple(share, share, share, share),
        fc.tuple(share, share, share, share),
        ([width, height], input, region, box) => {
          const cropPx = cropRectangle(width, height, {
            x: region[0],
            y: region[1],
            width: region[2] * (1 - region[0]),
            height: region[3] * (1 - region[1]),
          });
          const crop = cropFractions(cropPx, width, height);
          const placed = placeImage(inferenceSize(cropPx.widthPx, cropPx.heightPx, input), input);
          const wanted = { x: box[0], y: box[1], width: box[2] * (1 - box[0]), height: box[3] * (1 - box[1]) };
          const found = toPictureBox(
            {
              x1: placed.xPx + wanted.x * placed.widthPx,
              y1: placed.yPx + wanted.y * placed.heightPx,
              x2: placed.xPx + (wanted.x + wanted.width) * placed.widthPx,
              y2: placed.yPx + (wanted.y + wanted.height) * placed.heightPx,
            },
            placed,
            crop,
          );
          expect(found?.x).toBeCloseTo(crop.x + wanted.x * crop.width, 9);
          expect(found?.y).toBeCloseTo(crop.y + wanted.y * crop.height, 9);
          expect(found?.width).toBeCloseTo(wanted.width * crop.width, 9);
          expect(found?.height).toBeCloseTo(wanted.height * crop.height, 9);
        },
      ),
    );
  });

  const placed = { xPx: 0, yPx: 0, widthPx: 416, heightPx: 232 };

  test('clips a box to the picture', () => {
    expect(toPictureBox({ x1: -50, y1: -10, x2: 208, y2: 500 }, placed, null)).toEqual({
      x: 0,
      y: 0,
      width: 0.5,
      height: 1,
    });
  });

  test.each([
    ['lies in the padding', { x1: 10, y1: 240, x2: 60, y2: 300 }],
    ['has no width', { x1: 10, y1: 10, x2: 10, y2: 60 }],
    ['is not a number', { x1: Number.NaN, y1: 10, x2: 20, y2: 60 }],
  ])('gives nothing for a box that %s', (_, box) => {
    expect(toPictureBox(box, placed, null)).toBeNull();
  });
});

test('cuts a region of interest out in whole pixels inside the picture', () => {
  expect(cropRectangle(641, 359, { x: 0.5, y: 0.25, width: 0.5, height: 0.5 })).toEqual({
    xPx: 320,
    yPx: 89,
    widthPx: 321,
    heightPx: 181,
  });
  expect(cropRectangle(10, 10, { x: 1, y: 1, width: 0, height: 0 })).toEqual({
    xPx: 9,
    yPx: 9,
    widthPx: 1,
    heightPx: 1,
  });
});
