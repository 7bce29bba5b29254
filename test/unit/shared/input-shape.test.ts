import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inferenceSize, placeImage, type InputGeometry } from '#shared/core/inference-geometry';
import { boundingSize, fittingSizes, inputSizeFor, type InputShape } from '#shared/core/input-shape';

const side = fc.integer({ min: 1, max: 8192 });

function square(shape: InputShape, anchor: 'top_left' | 'centre' = 'top_left'): InputGeometry {
  return { widthPx: 416, heightPx: 416, resize: { mode: 'letterbox', anchor, padValue: 114, shape } };
}

test('trim runs a picture at the scale of its model, with less than a cell of filling', () => {
  const input = square('trim');
  expect(inferenceSize(768, 432, input)).toEqual({ widthPx: 416, heightPx: 234 });
  expect(inputSizeFor({ widthPx: 416, heightPx: 234 }, input)).toEqual({ widthPx: 416, heightPx: 256 });
  expect(inputSizeFor({ widthPx: 1, heightPx: 416 }, input)).toEqual({ widthPx: 32, heightPx: 416 });
});

test('fit shows a picture larger than its model would', () => {
  const input = square('fit');
  expect(inferenceSize(1920, 1080, input)).toEqual({ widthPx: 512, heightPx: 288 });
  expect(inferenceSize(640, 480, input)).toEqual({ widthPx: 469, heightPx: 352 });
  expect(inferenceSize(480, 640, input)).toEqual({ widthPx: 352, heightPx: 469 });
  expect(inferenceSize(100, 100, input)).toEqual({ widthPx: 416, heightPx: 416 });
});

test('fit chooses, of the sizes that cost no more than the model, the one that shows the picture largest', () => {
  const inputs = [square('fit'), { ...square('fit'), widthPx: 384, heightPx: 288 }];
  fc.assert(
    fc.property(side, side, fc.constantFrom(...inputs), (width, height, input) => {
      const sizes = fittingSizes(input);
      const chosen = boundingSize(width, height, input);
      const scale = ({ widthPx, heightPx }: typeof chosen): number => Math.min(widthPx / width, heightPx / height);
      expect(sizes).toContainEqual(chosen);
      expect(scale(chosen)).toBeCloseTo(Math.max(...sizes.map(scale)), 9);
      const run = inputSizeFor(inferenceSize(width, height, input), input);
      expect(run.widthPx * run.heightPx).toBeLessThanOrEqual(input.widthPx * input.heightPx);
    }),
  );
});

test('an input too small for any other shape keeps its own', () => {
  expect(fittingSizes({ widthPx: 16, heightPx: 16 })).toEqual([{ widthPx: 16, heightPx: 16 }]);
});

test('a picture lies inside the input that it is run in, in the middle where the model has it there', () => {
  const inputs = (['fixed', 'trim', 'fit'] as const).map((shape) => square(shape, 'centre'));
  fc.assert(
    fc.property(side, side, fc.constantFrom(...inputs), (width, height, input) => {
      const image = inferenceSize(width, height, input);
      const run = inputSizeFor(image, input);
      const placed = placeImage(image, input);
      expect(placed.xPx).toBe(Math.floor((run.widthPx - image.widthPx) / 2));
      expect(placed.yPx + placed.heightPx).toBeLessThanOrEqual(run.heightPx);
    }),
  );
});
