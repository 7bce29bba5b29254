import type { ErrorRecord } from '#shared/core/errors';
import type { PlanarImage } from '#shared/core/frame';
import type { TensorFacts } from '../../core/model-facts.ts';
import type { ModelManifest, ScoreRules } from '../../core/model.ts';

export interface ModelSizes {
  readonly widthPx: number;
  readonly heightPx: number;
}

export type TrialRequest =
  /** Load it, run it once on grey and say what inputs it takes and what its outputs really are. */
  | { readonly kind: 'probe'; readonly bytes: Uint8Array<ArrayBuffer>; readonly size: ModelSizes | undefined }
  /** Check it against its manifest and run it on a picture (null: on grey). */
  | {
      readonly kind: 'try';
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly manifest: ModelManifest;
      readonly rules: ScoreRules;
      readonly image: PlanarImage | null;
    };

export interface ProbedModel {
  readonly inputs: readonly TensorFacts[];
  readonly outputs: readonly TensorFacts[];
}

export interface TriedModel {
  /** As in core/detections.ts; empty where there was no picture. */
  readonly boxes: Float32Array;
  /** Resident memory that loading and running it added to the process. */
  readonly memoryBytes: number;
}

export type TrialAnswer =
  | { readonly kind: 'probed'; readonly found: ProbedModel }
  | { readonly kind: 'tried'; readonly found: TriedModel }
  | { readonly kind: 'failed'; readonly error: ErrorRecord };
