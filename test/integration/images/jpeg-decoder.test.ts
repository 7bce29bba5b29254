import sharp, { type Sharp } from 'sharp';
import { describe, expect, test } from 'vitest';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import { createJpegDecoder } from '#shared/images/jpeg-decoder';

const size = { widthPx: 64, heightPx: 36 };
const solid = { width: 64, height: 36, channels: 3, background: { r: 200, g: 100, b: 50 } } as const;
// Made before the decoder is: it blocks everything but JPEG for the whole process.
const picture = (): Sharp => sharp({ create: solid });
const jpeg = await picture().jpeg({ quality: 95 }).toBuffer();
const progressive = await picture().jpeg({ quality: 95, progressive: true }).toBuffer();
const png = await picture().png().toBuffer();
const cmyk = await picture().toColourspace('cmyk').jpeg().toBuffer();
const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="64" height="36"/>');

describe('the decoder of pictures', () => {
  test('gives brightness and colours of the kind of picture that ingest makes', async () => {
    const decoder = createJpegDecoder(createFrameBufferPool({ maxBytes: 1 << 20 }));
    const image = await decoder.decode({ format: 'jpeg', ...size, data: jpeg });
    expect(image).toMatchObject({ format: 'yuv420p', ...size, isFullRange: true });
    expect(image.data).toHaveLength(1.5 * 64 * 36);
    expect(image.data.byteLength).toBe(image.data.buffer.byteLength);
  });

  test('gives the pixels of every other kind side by side, in memory of their own', async () => {
    const decoder = createJpegDecoder(createFrameBufferPool({ maxBytes: 1 << 20 }));
    const image = await decoder.decode({ format: 'jpeg', ...size, data: progressive });
    expect(image).toMatchObject({ format: 'rgb24', ...size });
    expect(image.data.byteLength).toBe(image.data.buffer.byteLength);
    expect(image.data).toHaveLength(64 * 36 * 3);
    for (const [at, value] of [200, 100, 50].entries())
      expect(Math.abs((image.data[300 + at] ?? 0) - value)).toBeLessThan(4);
  });

  test.each([
    ['a PNG', png],
    ['an SVG', svg],
    ['a torn JPEG', jpeg.subarray(0, jpeg.length - 40)],
    ['nothing', Buffer.alloc(0)],
    ['noise', Buffer.from('not a picture')],
  ])('refuses %s', async (_, data) => {
    const decoder = createJpegDecoder(createFrameBufferPool({ maxBytes: 0 }));
    await expect(decoder.decode({ format: 'jpeg', ...size, data })).rejects.toMatchObject({
      code: 'SIGHTLINE_FRAME_UNDECODABLE',
    });
  });

  test('refuses a picture that has another size than was said', async () => {
    const decoder = createJpegDecoder(createFrameBufferPool({ maxBytes: 0 }));
    const asked = decoder.decode({ format: 'jpeg', widthPx: 36, heightPx: 64, data: jpeg });
    await expect(asked).rejects.toMatchObject({ code: 'SIGHTLINE_FRAME_UNDECODABLE' });
  });

  test('takes one in the colours of print as well', async () => {
    const decoder = createJpegDecoder(createFrameBufferPool({ maxBytes: 0 }));
    expect(await decoder.decode({ format: 'jpeg', ...size, data: cmyk })).toMatchObject({ format: 'rgb24', ...size });
  });
});
