import type { PixelImage } from '#shared/core/frame';
import { boxInPicture, boxesToDescribe, createEmbeddingReader, type EmbeddingRules } from '../../core/embedding.ts';
import { detectionStride } from '../../core/detections.ts';
import { cutImage, scaleImage } from '../../core/fit-image.ts';
import type { EmbeddingManifest, ModelInput } from '../../core/model.ts';
import { inferenceSize } from '#shared/core/inference-geometry';
import type { ExecutionProvider } from '../../core/ports.ts';
import { openRuntimeSession, shapesOf } from './runtime-session.ts';

/** What an embedding model makes of the objects of one picture. */
export interface Descriptions {
  /** One a box; null where the model was not run on it. */
  readonly embeddings: readonly (Float32Array | null)[];
  /** Objects that it would have described, were they not more than the limit. */
  readonly notDescribed: number;
}

export interface EmbeddingSession {
  /** The vector of a whole picture, of length 1; null where the model gives none that has a direction. */
  embed(image: PixelImage): Promise<Float32Array | null>;
  /** Describes the boxes that `rules` want; boxes are in pixels of the detector's input, in which `image` lies as its geometry says. */
  describe(image: PixelImage, boxes: Float32Array, input: ModelInput, rules: EmbeddingRules): Promise<Descriptions>;
  close(): Promise<void>;
}

export async function openEmbeddingSession(
  bytes: Uint8Array<ArrayBuffer>,
  manifest: EmbeddingManifest,
  provider: ExecutionProvider = 'cpu',
): Promise<EmbeddingSession> {
  const session = await openRuntimeSession(bytes, manifest, provider);
  try {
    const read = createEmbeddingReader(manifest, shapesOf(session.firstOutputs));

    async function embed(image: PixelImage): Promise<Float32Array | null> {
      const size = inferenceSize(image.widthPx, image.heightPx, manifest.input);
      const run = await session.run(scaleImage(image, size));
      const vector = read(run.outputs);
      run.free();
      return vector;
    }

    return {
      embed,
      async describe(image, boxes, input, rules) {
        const { chosen, leftOut: notDescribed } = boxesToDescribe(boxes, rules);
        const embeddings: (Float32Array | null)[] = Array.from({ length: boxes.length / detectionStride }, () => null);
        for (const index of chosen)
          embeddings[index] = await embed(cutImage(image, boxInPicture(boxes, index, image, input)));
        return { embeddings, notDescribed };
      },
      close: () => session.close(),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}
