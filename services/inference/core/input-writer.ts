import { placeImage } from '#shared/core/inference-geometry';
import { AppError } from '#shared/core/errors';
import type { PlanarImage } from '#shared/core/frame';
import type { ModelInput } from './model.ts';

/** Planes of a `gbrp` image by the channel they hold. */
const planeOf = { G: 0, B: 1, R: 2 } as const;

export interface InputWriter {
  /** The NCHW input of the model; the same memory for every frame. */
  readonly tensor: Float32Array<ArrayBuffer>;
  /** Puts an image in its place. Throws SIGHTLINE_FRAME_SIZE_INVALID for one that the input cannot take. */
  write(image: PlanarImage): void;
}

/**
 * Writes images into a model's input. Bytes become floats by the typed array's own `set` (native, 0.03 ms for 416x234x3), whole planes at
 * a time where the image is as wide as the input. The padding is written only when the image's size changes.
 */
export function createInputWriter(input: ModelInput): InputWriter {
  const { widthPx, heightPx } = input;
  const planeLength = widthPx * heightPx;
  const tensor = new Float32Array(3 * planeLength);
  const padValue = input.resize.mode === 'letterbox' ? input.resize.padValue : 0;
  const channels = [...input.channelOrder].map((letter, index) => {
    const mean = input.mean[index] ?? 0;
    const std = input.std[index] ?? 1;
    return {
      // channelOrder holds only these three letters.
      sourcePlane: planeOf[letter as keyof typeof planeOf],
      from: index * planeLength,
      factor: 1 / std,
      offset: -mean / std,
      isPlain: mean === 0 && std === 1,
    };
  });
  let filledFor = '';

  function check(image: PlanarImage): void {
    const fits =
      Number.isInteger(image.widthPx) &&
      Number.isInteger(image.heightPx) &&
      (input.resize.mode === 'stretch'
        ? image.widthPx === widthPx && image.heightPx === heightPx
        : image.widthPx >= 1 && image.heightPx >= 1 && image.widthPx <= widthPx && image.heightPx <= heightPx);
    if (fits && image.data.length === image.widthPx * image.heightPx * 3) return;
    throw new AppError(
      'SIGHTLINE_FRAME_SIZE_INVALID',
      `an image of ${image.widthPx}x${image.heightPx} px in ${image.data.length} bytes does not go into an input of ${widthPx}x${heightPx} px`,
    );
  }

  return {
    tensor,
    write(image) {
      check(image);
      const placed = placeImage(image, input);
      const geometry = `${image.widthPx}x${image.heightPx}`;
      const needsFill = geometry !== filledFor;
      const imageLength = image.widthPx * image.heightPx;
      for (const channel of channels) {
        if (needsFill)
          tensor.fill(padValue * channel.factor + channel.offset, channel.from, channel.from + planeLength);
        const source = channel.sourcePlane * imageLength;
        const target = channel.from + placed.yPx * widthPx + placed.xPx;
        if (image.widthPx === widthPx) {
          tensor.set(image.data.subarray(source, source + imageLength), target);
          if (!channel.isPlain) scale(tensor, target, target + imageLength, channel.factor, channel.offset);
          continue;
        }
        for (let row = 0; row < image.heightPx; row++) {
          const rowSource = source + row * image.widthPx;
          const rowTarget = target + row * widthPx;
          tensor.set(image.data.subarray(rowSource, rowSource + image.widthPx), rowTarget);
          if (!channel.isPlain) scale(tensor, rowTarget, rowTarget + image.widthPx, channel.factor, channel.offset);
        }
      }
      filledFor = geometry;
    },
  };
}

/** In place, 0.16 ms for 320x320x3: faster than a table of 256 entries (0.25 ms) and than rounding each step to float32 (0.27 ms). */
function scale(values: Float32Array, from: number, to: number, factor: number, offset: number): void {
  // The cast: from and to lie in the tensor.
  for (let index = from; index < to; index++) values[index] = (values[index] as number) * factor + offset;
}
