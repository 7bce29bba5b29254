import type Sharp from 'sharp';
import { createBaselineJpegReader } from '#shared/core/baseline-jpeg';
import { AppError } from '#shared/core/errors';
import type { JpegImage, Rgb24Image, Yuv420Image } from '#shared/core/frame';
import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';

/** Turns the pictures of the frames topic into pixels. */
export interface JpegDecoder {
  /** Throws SIGHTLINE_FRAME_UNDECODABLE for bytes that are no whole JPEG of the size that was said. */
  decode(image: JpegImage): Promise<Yuv420Image | Rgb24Image>;
}

/** Pictures at inference size; one that says it is larger is forged. */
const maxPixels = 4096 * 4096;

/** A library of 16 MB: loaded when a picture comes that we do not read ourselves. */
async function loadSharp(): Promise<typeof Sharp> {
  const { default: sharp } = await import('sharp');
  // No picture comes twice.
  sharp.cache(false);
  // What says it is a JPEG is held to it: an SVG in its place would be drawn, with all that an SVG may name.
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: ['VipsForeignLoadJpeg', 'VipsForeignLoadJpegBuffer'] });
  return sharp;
}

export function createJpegDecoder(pool: FrameBufferPool): JpegDecoder {
  let loading: Promise<typeof Sharp> | undefined;
  const reader = createBaselineJpegReader();

  return {
    async decode({ data, widthPx, heightPx }) {
      // What ingest makes. All else, whatever is wrong with it included, is for a library that knows every kind.
      const planes = reader.read(data, { widthPx, heightPx }, (byteLength) => pool.take(byteLength));
      if (planes !== undefined) return { format: 'yuv420p', widthPx, heightPx, isFullRange: true, data: planes };
      loading ??= loadSharp();
      const sharp = await loading;
      let decoded: { readonly data: Buffer; readonly info: { width: number; height: number; channels: number } };
      try {
        decoded = await sharp(data, { failOn: 'error', limitInputPixels: maxPixels, sequentialRead: true })
          .toColourspace('srgb')
          .raw()
          .toBuffer({ resolveWithObject: true });
      } catch (error) {
        const reason = error instanceof Error ? error.message.split('\n', 1)[0]?.slice(0, 200) : 'it is none';
        throw new AppError('SIGHTLINE_FRAME_UNDECODABLE', `a picture cannot be decoded: ${reason ?? ''}`, {
          cause: error,
        });
      }
      const { width, height, channels } = decoded.info;
      if (width !== widthPx || height !== heightPx || channels !== 3) {
        const words = `a picture of ${widthPx}x${heightPx} px turned out as ${width}x${height} px in ${channels} channels`;
        throw new AppError('SIGHTLINE_FRAME_UNDECODABLE', words);
      }
      // Into a buffer of ours: the library's memory cannot be handed over to another thread.
      const pixels = pool.take(widthPx * heightPx * 3);
      pixels.set(decoded.data);
      // The garbage collector knows how much lies there and not that it is of no use: it looked through the whole heap every few frames.
      if (decoded.data.buffer instanceof ArrayBuffer) decoded.data.buffer.transfer(0);
      return { format: 'rgb24', widthPx, heightPx, data: pixels };
    },
  };
}
