import type { FrameImage } from '#shared/core/frame';
import type { SizePx } from '#shared/core/inference-geometry';
import type { ModelRef } from '#shared/core/rollout/rollout-state';
import type { EmbeddingManifest, ModelManifest } from './model.ts';

/** A model that was checked: its manifest, and the sha256 that its file really has. */
export interface VerifiedModel<Manifest extends ModelManifest = ModelManifest> {
  readonly manifest: Manifest;
  readonly digest: string;
  /** The file, read once; nothing is loaded from the path after this. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Where a model runs: what the runtime calls an execution provider. */
export const executionProviders = ['cpu', 'cuda', 'tensorrt', 'coreml', 'dml', 'webgpu'] as const;
export type ExecutionProvider = (typeof executionProviders)[number];

export type VerifiedEmbedding = VerifiedModel<EmbeddingManifest>;

/**
 * What one image gave. `boxes` as in core/detections.ts: six numbers each, pixels of the model's input, best first; `keypoints` of all boxes one
 * after another, three numbers each, empty for a model without any.
 */
export interface PixelDetections {
  readonly boxes: Float32Array;
  readonly keypoints: Float32Array;
  readonly preprocessMs: number;
  readonly inferenceMs: number;
  readonly postprocessMs: number;
}

export interface ImageDetections extends PixelDetections {
  /** Mean brightness of the picture as it came, 0..255; null where nobody asked. */
  readonly brightness: number | null;
  /** One a box, null where the embedding model was not run on it; empty without one. */
  readonly embeddings: readonly (Float32Array | null)[];
  /** Objects that the embedding model would have described, were they not more than its limit. */
  readonly notDescribed: number;
}

export type EngineOutcome =
  | ({
      readonly kind: 'detected';
      /** From the call to the moment that a worker took the image up. */
      readonly waitedMs: number;
    } & ImageDetections)
  | { readonly kind: 'expired' };

export interface DetectOptions {
  /** Monotonic milliseconds after which the image is given back as expired instead of being run; null: never. */
  readonly deadlineMs: number | null;
  /** The size that the picture is scaled to before it is run. Default: it has the right one. */
  readonly fitTo?: SizePx | null;
  readonly wantsBrightness?: boolean;
}

/** `stalled`: every worker is in a run that should have ended long ago. It becomes `running` again when one comes back. */
export type EngineState = 'created' | 'starting' | 'running' | 'stalled' | 'stopping' | 'stopped' | 'failed';

/**
 * Runs a model on images, never on the thread that calls it: that thread does not decode, scale or look at pixels either. The buffer of pixels
 * is taken from the caller and, when they have been read, handed to the engine's `recycle`; a JPEG stays the caller's.
 */
export interface InferenceEngine {
  readonly manifest: ModelManifest;
  /** sha256 of the model file. */
  readonly digest: string;
  /** As records name it, for example `onnxruntime-cpu`; certain once it has started, since a provider may turn out not to be usable. */
  readonly runtime: string;
  /** The model that describes what this one finds, as records name it; null without one. */
  readonly embeddingModel: string | null;
  readonly state: EngineState;
  readonly workers: number;
  /** Images waiting, those being run not counted. */
  readonly queued: number;
  /**
   * Resolves when every worker has loaded the model and run it once. Rejects with the reason otherwise, and the engine is closed. With
   * `besideOthers` the workers load one after another, so that at most one core is taken from the versions that work meanwhile.
   */
  start(options?: { readonly besideOthers: boolean }): Promise<void>;
  /** Rejects with an AppError where the image could not be decoded or run; other images are not touched by that. */
  detect(image: FrameImage, options: DetectOptions): Promise<EngineOutcome>;
  /**
   * Resolves, in the order of the calls, when an image handed in now would be run next. For a caller who holds newer images back until
   * there is room, so that the newest is the one that is run.
   */
  whenFree(signal?: AbortSignal): Promise<void>;
  /** Takes no new image; resolves when those taken are done. */
  drain(): Promise<void>;
  /** Waits for runs in flight (they cannot be broken off without ending the process), then ends the workers. */
  close(): Promise<void>;
}

/** Makes an engine for a version, which its caller starts. Rejects where the version is not here, or is not what the reference says. */
export type OpenEngine = (model: ModelRef) => Promise<InferenceEngine>;
