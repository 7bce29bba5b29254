import type { PixelImage } from '#shared/core/frame';

/** Enough for a mean that is right to a level or two, in a few microseconds. */
const samples = 1024;

/** Mean brightness of a picture, 0..255: its luma, or green where it comes as colours. Looks at some pixels only. */
export function meanBrightness({ format, widthPx, heightPx, data }: PixelImage): number {
  const pixels = widthPx * heightPx;
  // Green is the first plane of gbrp, luma that of yuv420p.
  const [start, width] = format === 'rgb24' ? [1, 3] : [0, 1];
  // Odd, so that it does not fall into the same few columns row after row.
  const step = Math.floor(pixels / samples) | 1;
  let sum = 0;
  let count = 0;
  for (let pixel = 0; pixel < pixels; pixel += step, count++) sum += data[start + pixel * width] ?? 0;
  return count === 0 ? 0 : sum / count;
}
