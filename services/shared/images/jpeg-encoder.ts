import type { PlanarImage } from '#shared/core/frame';

export type EncodeJpeg = (image: PlanarImage) => Promise<Uint8Array>;

/** What is looked at and not analysed: small is more useful than perfect. */
const quality = 75;

/** Makes pictures for people of pixels at inference size. Takes a copy at once: the pixels are handed on meanwhile. */
export async function createJpegEncoder(): Promise<EncodeJpeg> {
  // A library of 16 MB: loaded where somebody looks, and nowhere else.
  const { default: sharp } = await import('sharp');
  return async ({ data, widthPx: width, heightPx: height }) => {
    const pixels = width * height;
    const rgb = new Uint8Array(pixels * 3);
    // Planes come as green, blue, red.
    for (let at = 0, to = 0; at < pixels; at++) {
      rgb[to++] = data[2 * pixels + at] ?? 0;
      rgb[to++] = data[at] ?? 0;
      rgb[to++] = data[pixels + at] ?? 0;
    }
    return sharp(rgb, { raw: { width, height, channels: 3 } })
      .jpeg({ quality })
      .toBuffer();
  };
}
