import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import createWabt from 'wabt';
import { createBaselineJpegReader } from '#shared/core/baseline-jpeg';
import { createBaselineJpegWriter } from '#shared/core/baseline-jpeg-writer';
import type { Yuv420Image } from '#shared/core/frame';
import { jpegWriterWasm } from '#shared/core/jpeg-writer-wasm';
import { fullRange, limitedRange, rgbOfYuv, yuv420Bytes } from '#shared/core/yuv420';

/** Slopes of brightness and colour with some noise, from black to white of the range. */
function pictureOf(widthPx: number, heightPx: number, isFullRange = false, seed = 1): Yuv420Image {
  const data = new Uint8Array(yuv420Bytes({ widthPx, heightPx }));
  const [black, white] = isFullRange ? [0, 255] : [16, 235];
  const colours = Math.ceil(widthPx / 2);
  let state = seed >>> 0;
  const noise = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 24) % 8;
  };
  for (let at = 0; at < data.length; at++) {
    if (at < widthPx * heightPx) {
      const share = ((at % widthPx) + Math.floor(at / widthPx)) / (widthPx + heightPx);
      data[at] = Math.min(white, Math.round(black + share * (white - black)) + noise());
    } else {
      const place = (at - widthPx * heightPx) % (colours * Math.ceil(heightPx / 2));
      data[at] = 110 + ((place % colours) * 30) / colours;
    }
  }
  return { format: 'yuv420p', widthPx, heightPx, isFullRange, data };
}

function rgbOf({ data, widthPx, heightPx, isFullRange = false }: Yuv420Image): number[] {
  const colourWidth = Math.ceil(widthPx / 2);
  const [u, v] = [widthPx * heightPx, widthPx * heightPx + colourWidth * Math.ceil(heightPx / 2)];
  return Array.from({ length: widthPx * heightPx }, (_, at) => {
    const colour = (Math.floor(at / widthPx) >> 1) * colourWidth + ((at % widthPx) >> 1);
    const matrix = isFullRange ? fullRange : limitedRange;
    return rgbOfYuv(data[at] ?? 0, data[u + colour] ?? 0, data[v + colour] ?? 0, matrix);
  }).flat();
}

/** Mean difference of all values, of 255. */
async function difference(jpeg: Uint8Array | undefined, image: Yuv420Image): Promise<number> {
  const { data, info } = await sharp(jpeg, { failOn: 'warning' }).raw().toBuffer({ resolveWithObject: true });
  expect(info).toMatchObject({ width: image.widthPx, height: image.heightPx, channels: 3 });
  return rgbOf(image).reduce((sum, value, at) => sum + Math.abs(value - (data[at] ?? 0)), 0) / data.length;
}

test('the assembled kernel is that of jpeg-writer.wat', async () => {
  const wabt = await createWabt();
  const source = readFileSync(new URL('../../../services/shared/core/jpeg-writer.wat', import.meta.url), 'utf8');
  const { buffer } = wabt.parseWat('jpeg-writer.wat', source).toBinary({});
  expect(Buffer.from(buffer).toString('base64')).toBe(jpegWriterWasm);
});

describe('the writer of plain JPEG', () => {
  test('makes pictures that a complete decoder shows as they were, at any size and in either range, one after another', async () => {
    const write = createBaselineJpegWriter();
    const side = fc.integer({ min: 8, max: 90 });
    await fc.assert(
      fc.asyncProperty(side, side, fc.boolean(), fc.integer(), async (widthPx, heightPx, isFullRange, seed) => {
        const image = pictureOf(widthPx, heightPx, isFullRange, seed);
        expect(await difference(write(image), image)).toBeLessThan(4);
      }),
      { numRuns: 60 },
    );
  });

  test('is as near to the picture, and as small, as the library that it stands in for', async () => {
    const image = pictureOf(416, 234);
    const { widthPx: width, heightPx: height } = image;
    const theirs = await sharp(Uint8Array.from(rgbOf(image)), { raw: { width, height, channels: 3 } })
      .jpeg({ quality: 75, optimiseCoding: false })
      .toBuffer();
    const ours = createBaselineJpegWriter()(image);
    expect(await difference(ours, image)).toBeLessThan((await difference(theirs, image)) + 0.1);
    expect(ours?.length).toBeLessThan(theirs.length * 1.05);
  });

  test.each([
    ['black', 0],
    ['white', 255],
  ])('shows what is beyond %s as %s', async (_, level) => {
    const image = pictureOf(32, 32);
    image.data.fill(level, 0, 32 * 32).fill(128, 32 * 32);
    const pixels = await sharp(createBaselineJpegWriter()(image)).raw().toBuffer();
    expect(new Set(pixels)).toEqual(new Set([level]));
  });

  test('makes what the reader of plain JPEG reads, of noise too, whose codes are the longest', () => {
    const write = createBaselineJpegWriter();
    const reader = createBaselineJpegReader();
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(),
        (widthPx, heightPx, seed) => {
          const image = pictureOf(widthPx, heightPx);
          image.data.forEach((_, at) => (image.data[at] = (Math.imul(at + seed, 2_654_435_761) >>> 31) * 255));
          const jpeg = write(image) ?? new Uint8Array();
          expect(reader.read(jpeg, { widthPx, heightPx }, (length) => new Uint8Array(length))).toBeDefined();
        },
      ),
      { numRuns: 40 },
    );
  });

  test('makes nothing of bytes that are not as many as the size says: the rest would be of the picture before', () => {
    const write = createBaselineJpegWriter();
    const image = pictureOf(32, 32);
    expect(write(image)).toBeDefined();
    for (const data of [image.data.subarray(1), new Uint8Array(image.data.length + 1)])
      expect(write({ ...image, data })).toBeUndefined();
    expect(write({ ...image, widthPx: 0, data: new Uint8Array() })).toBeUndefined();
  });
});
