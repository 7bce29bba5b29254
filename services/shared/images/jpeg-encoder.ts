import type { Yuv420Image } from '#shared/core/frame';
import { rgbPixels } from '#shared/core/yuv420-pixels';

export type EncodeJpeg = (image: Yuv420Image) => Promise<Uint8Array>;

/**
 * What is looked at and not analysed: small is more useful than perfect. Tables of codes made for each picture would save a twentieth of
 * its bytes for a third more work.
 */
const jpegOptions = { quality: 75, optimiseCoding: false } as const;

/** Makes pictures for people of pixels at inference size. Takes a copy at once: the pixels are handed on meanwhile. */
export async function createJpegEncoder(): Promise<EncodeJpeg> {
  // A library of 16 MB: loaded where somebody looks, and nowhere else.
  const { default: sharp } = await import('sharp');
  return async (image) => {
    const { widthPx: width, heightPx: height } = image;
    return sharp(rgbPixels(image), { raw: { width, height, channels: 3 } })
      .jpeg(jpegOptions)
      .toBuffer();
  };
}
