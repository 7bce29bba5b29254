import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import createWabt from 'wabt';
import type { Yuv420Image } from '#shared/core/frame';
import { fullRange, limitedRange, rgbOfYuv, yuv420Bytes } from '#shared/core/yuv420';
import { createInputWriter } from '../../../services/inference/core/input-writer.ts';
import { yuvPlanesWasm } from '../../../services/inference/core/yuv-planes-wasm.ts';
import { picodetManifest, yoloxManifest } from '../../support/manifests.ts';

const sizes = fc.record({
  widthPx: fc.integer({ min: 1, max: 32 }),
  heightPx: fc.integer({ min: 1, max: 32 }),
  seed: fc.integer(),
  isFullRange: fc.boolean(),
});

function noise(widthPx: number, heightPx: number, seed: number): Yuv420Image {
  const data = new Uint8Array(yuv420Bytes({ widthPx, heightPx }));
  let state = seed >>> 0;
  for (let at = 0; at < data.length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    data[at] = state >>> 24;
  }
  return { format: 'yuv420p', widthPx, heightPx, data };
}

/** Red, green, blue of one pixel. */
function pixelOf(
  { data, widthPx, heightPx, isFullRange = false }: Yuv420Image,
  row: number,
  column: number,
): readonly number[] {
  const colourWidth = Math.ceil(widthPx / 2);
  const at = widthPx * heightPx + (row >> 1) * colourWidth + (column >> 1);
  const [y = 0, u = 0, v = 0] = [
    data[row * widthPx + column],
    data[at],
    data[at + colourWidth * Math.ceil(heightPx / 2)],
  ];
  return rgbOfYuv(y, u, v, isFullRange ? fullRange : limitedRange);
}

describe('a camera picture in YUV', () => {
  test('becomes the same blue, green and red as pixel by pixel, at any size, and nothing beside it is touched', () => {
    const { input } = yoloxManifest;
    const writer = createInputWriter(input);
    fc.assert(
      fc.property(sizes, ({ widthPx, heightPx, seed, isFullRange }) => {
        const image = { ...noise(widthPx, heightPx, seed), isFullRange };
        writer.write(image);
        const expected = new Float32Array(3 * 1024).fill(114);
        for (let row = 0; row < heightPx; row++) {
          for (let column = 0; column < widthPx; column++) {
            const [red = 0, green = 0, blue = 0] = pixelOf(image, row, column);
            for (const [channel, value] of [blue, green, red].entries())
              expected[channel * 1024 + row * 32 + column] = value;
          }
        }
        expect(writer.tensor).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  test('takes mean and standard deviation of each channel', () => {
    const { input } = picodetManifest;
    const writer = createInputWriter(input);
    const image = noise(input.widthPx, input.heightPx, 7);
    writer.write(image);
    const plane = input.widthPx * input.heightPx;
    const seen = [0, 1, 2].map((channel) => writer.tensor[channel * plane + 5 * input.widthPx + 3]);
    // PicoDet wants red first.
    const wanted = pixelOf(image, 5, 3).map(
      (value, index) => (value - (input.mean[index] ?? 0)) / (input.std[index] ?? 1),
    );
    for (const [index, value] of wanted.entries()) expect(seen[index]).toBeCloseTo(value, 4);
  });

  test('of the wrong length is refused', () => {
    const image = { ...noise(4, 4, 1), heightPx: 5 };
    expect(() => {
      createInputWriter(yoloxManifest.input).write(image);
    }).toThrow(expect.objectContaining({ code: 'SIGHTLINE_FRAME_SIZE_INVALID' }));
  });
});

test.each([
  ['black', [16, 128, 128], [0, 0, 0]],
  ['white', [235, 128, 128], [255, 255, 255]],
  ['red', [81, 90, 240], [254, 0, 0]],
  ['green', [145, 54, 34], [0, 255, 1]],
  ['blue', [41, 240, 110], [0, 0, 255]],
  ['below black and above white', [0, 128, 128], [0, 0, 0]],
] as const)('%s of BT.601 is what it is called', (_, [y, u, v], rgb) => {
  expect(rgbOfYuv(y, u, v)).toEqual(rgb);
});

test.each([
  ['black', [0, 128, 128], [0, 0, 0]],
  ['white', [255, 128, 128], [255, 255, 255]],
  ['red', [76, 85, 255], [254, 0, 0]],
  ['green', [150, 44, 21], [0, 255, 1]],
  ['blue', [29, 255, 107], [0, 0, 254]],
] as const)('%s of a JPEG is what it is called', (_, [y, u, v], rgb) => {
  expect(rgbOfYuv(y, u, v, fullRange)).toEqual(rgb);
});

test('the assembled kernel is that of yuv-planes.wat', async () => {
  const wabt = await createWabt();
  const source = readFileSync(new URL('../../../services/inference/core/yuv-planes.wat', import.meta.url), 'utf8');
  const { buffer } = wabt.parseWat('yuv-planes.wat', source).toBinary({});
  expect(Buffer.from(buffer).toString('base64')).toBe(yuvPlanesWasm);
});
