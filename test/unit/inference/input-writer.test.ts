import { describe, expect, test } from 'vitest';
import type { PlanarImage, Rgb24Image } from '#shared/core/frame';
import { createInputWriter } from '../../../services/inference/core/input-writer.ts';
import { picodetManifest, yoloxManifest } from '../../support/manifests.ts';

/** One colour all over: green 1, blue 2, red 3, unless said otherwise. */
function image(
  widthPx: number,
  heightPx: number,
  [green, blue, red]: readonly [number, number, number] = [1, 2, 3],
): PlanarImage {
  const size = widthPx * heightPx;
  const data = new Uint8Array(size * 3);
  data
    .fill(green, 0, size)
    .fill(blue, size, 2 * size)
    .fill(red, 2 * size);
  return { format: 'gbrp', widthPx, heightPx, data };
}

function planes(tensor: Float32Array): Float32Array[] {
  return [0, 1, 2].map((index) => tensor.subarray(index * 1024, (index + 1) * 1024));
}

describe('a letterboxed BGR input', () => {
  const { input } = yoloxManifest;

  test('holds blue, green and red in this order, and the filling below the picture', () => {
    const writer = createInputWriter(input);
    writer.write(image(32, 18));
    const expected = [2, 1, 3].map((value) => new Float32Array(1024).fill(114).fill(value, 0, 32 * 18));
    expect(planes(writer.tensor)).toEqual(expected);
  });

  test('puts each row of a narrow picture in its place', () => {
    const writer = createInputWriter(input);
    const narrow = image(3, 32);
    for (let at = 0; at < 96; at++) narrow.data[96 + at] = at;
    writer.write(narrow);
    const [blue] = planes(writer.tensor);
    expect(Array.from(blue?.subarray(64, 68) ?? [])).toEqual([6, 7, 8, 114]);
  });

  test('leaves nothing of a larger picture behind when a smaller one follows', () => {
    const writer = createInputWriter(input);
    writer.write(image(32, 32, [9, 9, 9]));
    writer.write(image(32, 10));
    const fresh = createInputWriter(input);
    fresh.write(image(32, 10));
    expect(writer.tensor).toEqual(fresh.tensor);
  });

  test('puts a centred picture into the middle', () => {
    const writer = createInputWriter({
      ...input,
      resize: { mode: 'letterbox', anchor: 'centre', padValue: 0, shape: 'fixed' },
    });
    writer.write(image(32, 16));
    const [blue] = planes(writer.tensor);
    expect(Array.from({ length: 32 }, (_, row) => blue?.[row * 32])).toEqual([
      ...new Array<number>(8).fill(0),
      ...new Array<number>(16).fill(2),
      ...new Array<number>(8).fill(0),
    ]);
  });
});

test('takes mean and standard deviation of each channel in the order of the input, of the filling too', () => {
  const writer = createInputWriter({
    ...picodetManifest.input,
    resize: { mode: 'letterbox', anchor: 'top_left', padValue: 114, shape: 'fixed' },
  });
  writer.write(image(16, 32, [165, 180, 150]));
  const [red, green, blue] = planes(writer.tensor);
  expect([red?.[0], green?.[0], blue?.[0]]).toEqual([1, 1, 1]);
  expect(red?.[20]).toBeCloseTo((114 - 100) / 50, 6);
  expect(blue?.[20]).toBeCloseTo((114 - 120) / 60, 6);
});

test.each([
  ['whole', 32, 32],
  ['with a last pair of its own', 32, 31],
  ['of an odd width', 31, 32],
  ['narrow', 30, 32],
])('normalises every pixel of an image that is %s', (_, widthPx, heightPx) => {
  const { input } = picodetManifest;
  const writer = createInputWriter({
    ...input,
    resize: { mode: 'letterbox', anchor: 'centre', padValue: 0, shape: 'fixed' },
  });
  const picture = image(widthPx, heightPx);
  picture.data.forEach((_value, index) => (picture.data[index] = (index * 37) % 256));
  writer.write(picture);
  const [left, top] = [Math.floor((32 - widthPx) / 2), Math.floor((32 - heightPx) / 2)];
  const found: number[] = [];
  const expected: number[] = [];
  for (const [channel, plane] of [2, 0, 1].entries()) {
    for (let row = 0; row < heightPx; row++) {
      for (let column = 0; column < widthPx; column++) {
        const value = picture.data[(plane * heightPx + row) * widthPx + column] ?? Number.NaN;
        found.push(planes(writer.tensor)[channel]?.[(top + row) * 32 + left + column] ?? Number.NaN);
        expected.push((value - (input.mean[channel] ?? 0)) / (input.std[channel] ?? 1));
      }
    }
  }
  const worst = Math.max(...found.map((value, index) => Math.abs(value - (expected[index] ?? Number.NaN))));
  expect(worst).toBeLessThan(1e-5);
});

test.each([
  ['is wider than the input', yoloxManifest.input, image(33, 10)],
  ['has too few bytes', yoloxManifest.input, { ...image(32, 10), data: new Uint8Array(100) }],
  ['has no pixels', yoloxManifest.input, image(0, 0)],
  ['has half a pixel', yoloxManifest.input, { ...image(32, 10), heightPx: 9.5 }],
  ['is not of the size that a stretching input takes', picodetManifest.input, image(32, 18)],
])('refuses an image that %s', (_, input, wrong) => {
  expect(() => {
    createInputWriter(input).write(wrong);
  }).toThrow(expect.objectContaining({ code: 'SIGHTLINE_FRAME_SIZE_INVALID' }));
});

/** The same pixels side by side. */
function interleaved({ widthPx, heightPx, data }: PlanarImage): Rgb24Image {
  const size = widthPx * heightPx;
  const pixels = Uint8Array.from({ length: 3 * size }, (_, at) => {
    const plane = [2, 0, 1][at % 3] ?? 0;
    return data[plane * size + Math.floor(at / 3)] ?? 0;
  });
  return { format: 'rgb24', widthPx, heightPx, data: pixels };
}

test.each([
  ['as it is', yoloxManifest.input, 32, 18],
  ['narrower than the input', yoloxManifest.input, 3, 32],
  ['with mean and deviation', picodetManifest.input, picodetManifest.input.widthPx, picodetManifest.input.heightPx],
])('a picture with its colours side by side gives the same input as one in planes: %s', (_, input, width, height) => {
  const picture = image(width, height);
  for (let at = 0; at < picture.data.length; at++) picture.data[at] = (at * 31) % 256;
  const [planar, other] = [createInputWriter(input), createInputWriter(input)];
  planar.write(picture);
  other.write(interleaved(picture));
  const farthest = planar.tensor.reduce(
    (most, value, at) => Math.max(most, Math.abs(value - (other.tensor[at] ?? NaN))),
    0,
  );
  expect(farthest).toBeLessThan(1e-5);
});
