import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import sharp, { type JpegOptions } from 'sharp';
import { describe, expect, test } from 'vitest';
import createWabt from 'wabt';
import { createBaselineJpegReader } from '#shared/core/baseline-jpeg';
import { createBaselineJpegWriter } from '#shared/core/baseline-jpeg-writer';
import type { Yuv420Image } from '#shared/core/frame';
import { jpegReaderWasm } from '#shared/core/jpeg-reader-wasm';
import { fullRange, rgbOfYuv, yuv420Bytes } from '#shared/core/yuv420';

interface Picture {
  readonly widthPx: number;
  readonly heightPx: number;
}

const take = (byteLength: number): Uint8Array<ArrayBuffer> => new Uint8Array(byteLength);

/** Soft slopes with some noise of brightness: colours that are halved both ways come out nearly the same however they are doubled again. */
function pixelsOf({ widthPx, heightPx }: Picture, seed: number): Buffer {
  const pixels = Buffer.alloc(widthPx * heightPx * 3);
  let state = seed >>> 0;
  for (let at = 0; at < widthPx * heightPx; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const noise = (state >>> 24) % 40;
    const [x, y] = [at % widthPx, Math.floor(at / widthPx)];
    for (const [index, base] of [x, y, 180 - x - y].entries()) pixels[at * 3 + index] = base + noise;
  }
  return pixels;
}

function jpegOf({ widthPx: width, heightPx: height }: Picture, seed: number, options: JpegOptions): Promise<Buffer> {
  return sharp(pixelsOf({ widthPx: width, heightPx: height }, seed), { raw: { width, height, channels: 3 } })
    .jpeg(options)
    .toBuffer();
}

/** Mean difference of all values from those of the complete decoder. */
async function difference(planes: Uint8Array, { widthPx, heightPx }: Picture, jpeg: Buffer): Promise<number> {
  const reference = await sharp(jpeg).raw().toBuffer();
  const colourWidth = Math.ceil(widthPx / 2);
  const [u, v] = [widthPx * heightPx, widthPx * heightPx + colourWidth * Math.ceil(heightPx / 2)];
  let sum = 0;
  for (let at = 0; at < widthPx * heightPx; at++) {
    const colour = (Math.floor(at / widthPx) >> 1) * colourWidth + ((at % widthPx) >> 1);
    const rgb = rgbOfYuv(planes[at] ?? 0, planes[u + colour] ?? 0, planes[v + colour] ?? 0, fullRange);
    rgb.forEach((value, index) => (sum += Math.abs(value - (reference[at * 3 + index] ?? 0))));
  }
  return sum / reference.length;
}

const picture = { widthPx: 75, heightPx: 50 };
const plain: JpegOptions = { quality: 90, chromaSubsampling: '4:2:0' };

test('the assembled kernel is that of jpeg-reader.wat', async () => {
  const wabt = await createWabt();
  const source = readFileSync(new URL('../../../services/shared/core/jpeg-reader.wat', import.meta.url), 'utf8');
  const { buffer } = wabt.parseWat('jpeg-reader.wat', source).toBinary({});
  expect(Buffer.from(buffer).toString('base64')).toBe(jpegReaderWasm);
});

describe('the reader of plain JPEG', () => {
  test('finds the colours that a complete decoder finds, at any size and quality, with its own tables or common ones', async () => {
    const reader = createBaselineJpegReader();
    const cases = fc.record({
      widthPx: fc.integer({ min: 8, max: 90 }),
      heightPx: fc.integer({ min: 8, max: 90 }),
      quality: fc.integer({ min: 20, max: 100 }),
      optimiseCoding: fc.boolean(),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ quality, optimiseCoding, seed, ...size }) => {
        const jpeg = await jpegOf(size, seed, { ...plain, quality, optimiseCoding });
        const planes = reader.read(jpeg, size, take);
        expect(await difference(planes ?? new Uint8Array(), size, jpeg)).toBeLessThan(1.5);
      }),
      { numRuns: 60 },
    );
  });

  test.each<[string, JpegOptions]>([
    ['whose parts come in several scans', { ...plain, progressive: true }],
    ['whose colours are not halved', { ...plain, chromaSubsampling: '4:4:4' }],
  ])('leaves a picture %s to the complete decoder', async (_, options) => {
    expect(createBaselineJpegReader().read(await jpegOf(picture, 1, options), picture, take)).toBeUndefined();
  });

  test('leaves one without colours, one of another size and one that is cut off anywhere to it', async () => {
    const reader = createBaselineJpegReader();
    const jpeg = await jpegOf(picture, 2, plain);
    const grey = await sharp(jpeg).toColourspace('b-w').jpeg().toBuffer();
    expect(reader.read(grey, picture, take)).toBeUndefined();
    expect(reader.read(jpeg, { widthPx: 50, heightPx: 75 }, take)).toBeUndefined();
    for (let length = 0; length < jpeg.length; length++)
      expect(reader.read(jpeg.subarray(0, length), picture, take)).toBeUndefined();
    expect(reader.read(jpeg, picture, take)).toBeDefined();
  });

  test('reads the next picture when the memory of the one before has gone on', () => {
    const reader = createBaselineJpegReader();
    const write = createBaselineJpegWriter({ quality: 95 });
    for (const seed of [1, 2, 3]) {
      // Noise needs codes of every length.
      const image: Yuv420Image = { format: 'yuv420p', ...picture, data: new Uint8Array(yuv420Bytes(picture)) };
      let state = seed;
      for (let at = 0; at < image.data.length; at++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        image.data[at] = state >>> 24;
      }
      const jpeg = write(image) ?? new Uint8Array();
      expect(reader.read(jpeg, picture, take)).toBeDefined();
      jpeg.buffer.transfer(0);
    }
  });

  test('comes to an end with whatever bytes it is given, and reads the next picture as if there had been none', async () => {
    const reader = createBaselineJpegReader();
    const jpeg = await jpegOf(picture, 3, plain);
    const expected = createBaselineJpegReader().read(jpeg, picture, take);
    const changes = fc.array(fc.tuple(fc.nat({ max: jpeg.length - 1 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(changes, (changed) => {
        const torn = Buffer.from(jpeg);
        for (const [at, value] of changed) torn[at] = value;
        reader.read(torn, picture, take);
        expect(reader.read(jpeg, picture, take)).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });
});
