import { createBaselineJpegWriter } from '#shared/core/baseline-jpeg-writer';
import { AppError } from '#shared/core/errors';
import type { SampledFrame } from '#shared/core/frame';

/** A detector agrees with what it sees without JPEG as much as it does with that of ffmpeg at its quality 3; docs/performance.md has the figures. */
const quality = 85;

/**
 * Frames as they travel between processes: the picture as JPEG. Made here and not by ffmpeg, which takes longer for it and would send the
 * brightness by another pipe; so only pictures that are sent are encoded. One serves all cameras of a process. The pixels stay the caller's.
 */
export function createFrameEncoder(): (frame: SampledFrame) => SampledFrame {
  const write = createBaselineJpegWriter({ quality });
  return (frame) => {
    const { image } = frame;
    if (image?.format !== 'yuv420p') return frame;
    const { widthPx, heightPx } = image;
    const data = write(image);
    if (data === undefined)
      throw new AppError('SIGHTLINE_INTERNAL', `a picture is not of the size that it says: ${widthPx}x${heightPx} px`);
    return { ...frame, image: { format: 'jpeg', widthPx, heightPx, data } };
  };
}
