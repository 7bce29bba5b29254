import { expect, test } from 'vitest';
import { createBaselineJpegReader } from '#shared/core/baseline-jpeg';
import type { SampledFrame, Yuv420Image } from '#shared/core/frame';
import { yuv420Bytes } from '#shared/core/yuv420';
import { createFrameEncoder } from '../../../services/ingest/core/frame-encoder.ts';
import { sampledJpeg } from '../../support/sampled-jpeg.ts';

function frameOf(image: SampledFrame['image']): SampledFrame {
  return { ...sampledJpeg('gate', 1, 1, new Uint8Array()), image };
}

/** Limited range: brightness of one value, no colour. */
function plain(widthPx: number, heightPx: number, luma: number): Yuv420Image {
  const data = new Uint8Array(yuv420Bytes({ widthPx, heightPx })).fill(128);
  data.fill(luma, 0, widthPx * heightPx);
  return { format: 'yuv420p', widthPx, heightPx, data };
}

test('a picture becomes a JPEG of full range that inference reads by itself, and its pixels stay', () => {
  const encode = createFrameEncoder();
  const read = createBaselineJpegReader();
  // Of several cameras in turn.
  for (const [widthPx, heightPx, luma, shown] of [
    [416, 234, 16, 0],
    [416, 312, 235, 255],
    [416, 234, 125, 127],
    [33, 17, 16, 0],
  ] as const) {
    const picture = plain(widthPx, heightPx, luma);
    const before = picture.data.slice();
    const { image, ...others } = encode(frameOf(picture));
    expect(others).toMatchObject({ cameraId: 'gate', frameSeq: 1, fate: 'analyse' });
    expect(picture.data).toEqual(before);
    if (image?.format !== 'jpeg') throw new Error('no JPEG');
    const pixels = read.read(image.data, image, (bytes) => new Uint8Array(bytes));
    expect(pixels?.slice(0, widthPx * heightPx).every((value) => Math.abs(value - shown) <= 1)).toBe(true);
  }
});

test('a frame without a picture stays as it is', () => {
  const frame = frameOf(null);
  expect(createFrameEncoder()(frame)).toBe(frame);
});

test('pixels that are not of the size that is said are refused: the rest would be of the picture before', () => {
  const short = { ...plain(64, 36, 16), data: new Uint8Array(100) };
  expect(() => createFrameEncoder()(frameOf(short))).toThrow(/64x36/);
});
