import type { ErrorRecord } from '#shared/core/errors';
import type { FrameImage } from '#shared/core/frame';
import type { SizePx } from '#shared/core/inference-geometry';
import type { EmbeddingRules } from '../../core/embedding.ts';
import type { EmbeddingManifest, ModelManifest, ScoreRules } from '../../core/model.ts';
import type { ExecutionProvider, ImageDetections } from '../../core/ports.ts';

/** The provider that a session runs on; `refused`: why it is not the one that was asked for. */
export interface ChosenProvider {
  readonly provider: ExecutionProvider;
  readonly refused: string | null;
}

/** The model that describes what the other one finds. */
export interface EmbeddingLoad {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly manifest: EmbeddingManifest;
  readonly rules: EmbeddingRules;
}

export interface DetectRequest {
  readonly image: FrameImage & { readonly data: Uint8Array<ArrayBuffer> };
  readonly fitTo: SizePx | null;
  readonly wantsBrightness: boolean;
}

/** What the engine says to a worker. Buffers are transferred, not copied. */
export type ToWorker =
  | {
      readonly kind: 'load';
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly manifest: ModelManifest;
      readonly rules: ScoreRules;
      readonly provider: ExecutionProvider;
      readonly embedding: EmbeddingLoad | null;
    }
  | ({ readonly kind: 'detect' } & DetectRequest)
  /** The worker finishes what it is at, releases its session and ends by itself: ending it from outside in a run aborts the process. */
  | { readonly kind: 'stop' };

export type FromWorker =
  | ({ readonly kind: 'loaded' } & ChosenProvider)
  | { readonly kind: 'load-failed'; readonly error: ErrorRecord }
  /** `data` is the image's buffer on its way back. */
  | { readonly kind: 'detected'; readonly result: ImageDetections; readonly data: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'detect-failed'; readonly error: ErrorRecord; readonly data: Uint8Array<ArrayBuffer> };
