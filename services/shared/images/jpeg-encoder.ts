import type { Yuv420Image } from '#shared/core/frame';
import { rgbOfYuv } from '#shared/core/yuv420';

export type EncodeJpeg = (image: Yuv420Image) => Promise<Uint8Array>;

/** What is looked at and not analysed: small is more useful than perfect. */
const quality = 75;

/** Makes pictures for people of pixels at inference size. Takes a copy at once: the pixels are handed on meanwhile. */
export async function createJpegEncoder(): Promise<EncodeJpeg> {
  // A library of 16 MB: loaded where somebody looks, and nowhere else.
  const { default: sharp } = await import('sharp');
  return async ({ data, widthPx: width, heightPx: height }) => {
    const rgb = new Uint8Array(width * height * 3);
    const uFrom = width * height;
    const colourWidth = Math.ceil(width / 2);
    const vFrom = uFrom + colourWidth * Math.ceil(height / 2);
    let to = 0;
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const at = (row >> 1) * colourWidth + (column >> 1);
        const [red, green, blue] = rgbOfYuv(
          data[row * width + column] ?? 0,
          data[uFrom + at] ?? 0,
          data[vFrom + at] ?? 0,
        );
        rgb[to++] = red;
        rgb[to++] = green;
        rgb[to++] = blue;
      }
    }
    return sharp(rgb, { raw: { width, height, channels: 3 } })
      .jpeg({ quality })
      .toBuffer();
  };
}
