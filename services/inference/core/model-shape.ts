import { AppError } from '#shared/core/errors';
import { inferenceSize, type SizePx } from '#shared/core/inference-geometry';
import { inputSizeFor, shapeOf, type InputShape } from '#shared/core/input-shape';
import type { ModelManifest } from './model.ts';

/** The manifest with its pictures run in this shape. Throws SIGHTLINE_MODEL_SHAPE_FIXED for a model that takes pictures pulled to its size. */
export function withInputShape(manifest: ModelManifest, shape: InputShape | undefined): ModelManifest {
  const { input } = manifest;
  const { resize } = input;
  // An embedding model gets objects, not pictures.
  if (shape === undefined || shape === shapeOf(input) || manifest.family === 'embedding') return manifest;
  if (resize.mode !== 'letterbox') {
    throw new AppError(
      'SIGHTLINE_MODEL_SHAPE_FIXED',
      `model ${manifest.name} takes pictures pulled to ${input.widthPx}x${input.heightPx}, so it has no shape to choose`,
    );
  }
  return { ...manifest, input: { ...input, resize: { ...resize, shape } } };
}

/** The size of the input that pictures of this aspect are run in. */
export function inputSizeOfAspect(manifest: ModelManifest, width: number, height: number): SizePx {
  const { input } = manifest;
  return inputSizeFor(inferenceSize(width, height, input), input);
}

/** The manifest of the same model with an input of this size and no other. */
export function withInputSize(manifest: ModelManifest, size: SizePx): ModelManifest {
  const { input } = manifest;
  const resize = input.resize.mode === 'letterbox' ? { ...input.resize, shape: 'fixed' as const } : input.resize;
  return { ...manifest, input: { ...input, ...size, resize } };
}
