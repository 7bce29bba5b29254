import { AppError } from '#shared/core/errors';
import type { PixelImage } from '#shared/core/frame';
import { placeImage, type RectanglePx } from '#shared/core/inference-geometry';
import type { OutputTensors } from './decoders/decoder.ts';
import { shapeMismatch } from './decoders/decoder.ts';
import { detectionStride } from './detections.ts';
import type { EmbeddingManifest, ModelInput, ModelManifest } from './model.ts';

/** Which objects of a detector an embedding model describes. Plain data, travels to workers. */
export interface EmbeddingRules {
  /** 1 for each class that is described. */
  readonly wanted: Uint8Array;
  readonly maxObjects: number;
}

/** Throws SIGHTLINE_CONFIG_INVALID where the detector finds nothing that the other model describes. */
export function embeddingRules(detector: ModelManifest, embedding: EmbeddingManifest): EmbeddingRules {
  const { classes, maxObjects } = embedding.outputs;
  const wanted = Uint8Array.from(detector.labels, (label) => (classes?.includes(label) === false ? 0 : 1));
  if (wanted.every((each) => each === 0)) {
    throw new AppError(
      'SIGHTLINE_CONFIG_INVALID',
      `embedding model ${embedding.name} describes ${classes?.join(', ') ?? 'no class'}, and model ${detector.name} finds none of these`,
      { action: 'Set outputs.classes in its manifest to classes of the detector, or take a detector that finds them.' },
    );
  }
  return { wanted, maxObjects };
}

/** As records name the model that made an embedding. */
export function embeddingModelName({ name, version }: ModelManifest, digest: string): string {
  return `${name}@${version}#${digest}`;
}

/** The boxes that are described, by their place among all; `leftOut` of them were more than the limit. */
export function boxesToDescribe(
  boxes: Float32Array,
  { wanted, maxObjects }: EmbeddingRules,
): { readonly chosen: readonly number[]; readonly leftOut: number } {
  const all = Array.from({ length: boxes.length / detectionStride }, (_, index) => index);
  // The surest come first.
  const fitting = all.filter((index) => {
    const box = boxes.subarray(index * detectionStride, (index + 1) * detectionStride);
    return wanted[box[5] ?? 0] === 1 && box.every(Number.isFinite);
  });
  return { chosen: fitting.slice(0, maxObjects), leftOut: Math.max(0, fitting.length - maxObjects) };
}

/**
 * The part of the picture that a box (pixels of the detector's input) shows, in whole pixels, at least one and never outside. `step` 2 for
 * pictures whose colours have half the size: the edges are moved out to even pixels.
 */
export function boxInPicture(
  boxes: Float32Array,
  index: number,
  image: Pick<PixelImage, 'widthPx' | 'heightPx' | 'format'>,
  input: ModelInput,
): RectanglePx {
  const placed = placeImage(image, input);
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.subarray(index * detectionStride, index * detectionStride + 4);
  const step = image.format === 'yuv420p' ? 2 : 1;
  const [xPx, right] = wholeSpan(x1 - placed.xPx, x2 - placed.xPx, image.widthPx, step);
  const [yPx, bottom] = wholeSpan(y1 - placed.yPx, y2 - placed.yPx, image.heightPx, step);
  return { xPx, yPx, widthPx: right - xPx, heightPx: bottom - yPx };
}

function wholeSpan(from: number, to: number, size: number, step: number): [number, number] {
  const last = Math.floor((size - 1) / step) * step;
  const start = Math.min(last, Math.max(0, Math.floor(from / step) * step));
  return [start, Math.min(size, Math.max(start + 1, Math.ceil(to / step) * step))];
}

/** Reads the vector of one run and brings it to length 1; null for one without a direction. */
export type ReadEmbedding = (outputs: OutputTensors) => Float32Array | null;

/**
 * Embeddings are one output [1, n] (some add [.., 1, 1]). They are compared by their direction alone (cosine), as the authors of OSNet, FastReID
 * and ArcFace do, so length 1 loses nothing and makes the comparison a product.
 */
export function createEmbeddingReader(
  manifest: EmbeddingManifest,
  shapes: Readonly<Record<string, readonly number[]>>,
): ReadEmbedding {
  const [name, ...others] = Object.keys(shapes);
  const dims = name === undefined ? [] : (shapes[name] ?? []);
  const isVector =
    dims.length >= 2 && dims[0] === 1 && Number(dims[1]) > 1 && dims.slice(2).every((size) => size === 1);
  if (name === undefined || others.length > 0 || !isVector) throw shapeMismatch(manifest, 'one output [1,n]', shapes);
  return (outputs) => {
    const values = outputs[name]?.data;
    const length = values === undefined ? 0 : Math.hypot(...values);
    // Written so that a NaN fails it too.
    return values !== undefined && length > 0 && Number.isFinite(length) ? values.map((value) => value / length) : null;
  };
}
