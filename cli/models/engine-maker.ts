import type { Clock } from '#shared/core/clock';
import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';
import { shapeOf, type InputShape } from '#shared/core/input-shape';
import type { Logger } from '#shared/core/logger';
import type { LoadedModel } from '../../services/inference/adapters/model-files/model-library.ts';
import { createWorkerThreadEngine } from '../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
import { withInputShape } from '../../services/inference/core/model-shape.ts';
import type { ExecutionProvider, InferenceEngine, VerifiedEmbedding } from '../../services/inference/core/ports.ts';
import { readModelTuning, type ModelTuning } from './model-tuning.ts';

export interface EngineMakerOptions {
  /** As the settings of a run and of `service inference` name them. */
  readonly settings: {
    readonly provider?: ExecutionProvider | undefined;
    readonly threshold?: number | undefined;
    readonly thresholds: Readonly<Record<string, number>>;
    readonly threads?: number | undefined;
    readonly input_shape?: InputShape | undefined;
  };
  /** Where `models bench --write` keeps what is best here; it holds where the settings say nothing. */
  readonly stateDir: string;
  /** The model that describes what the others find. */
  readonly embedding?: VerifiedEmbedding | undefined;
  readonly pool: FrameBufferPool;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What was found best belongs together: threads that were measured on one provider say nothing of another. */
function tunedSettings(
  { provider, threads }: Pick<EngineMakerOptions['settings'], 'provider' | 'threads'>,
  tuning: ModelTuning | undefined,
): Pick<EngineMakerOptions['settings'], 'provider' | 'threads'> {
  if (tuning === undefined || (provider !== undefined && provider !== tuning.provider)) return { provider, threads };
  return { provider: tuning.provider, threads: threads ?? tuning.threads };
}

/**
 * A manifest that trims saves work on the processor. An accelerator prepares a model for each shape anew, for minutes where it builds engines, so it
 * does that only where the settings say so.
 */
function onProvider(model: LoadedModel, provider: ExecutionProvider, wanted: InputShape | undefined): LoadedModel {
  if (provider === 'cpu' || wanted !== undefined || shapeOf(model.manifest.input) !== 'trim') return model;
  return { ...model, manifest: withInputShape(model.manifest, 'fixed') };
}

/** Engines for versions of a model, all by the same settings. */
export function createEngineMaker(options: EngineMakerOptions): (model: LoadedModel) => InferenceEngine {
  const { settings, stateDir, embedding, pool, clock, logger } = options;
  const { threshold, thresholds } = settings;
  return (model) => {
    const { provider = 'cpu', threads } = tunedSettings(settings, readModelTuning(stateDir, model.digest));
    return createWorkerThreadEngine({
      ...{ model: onProvider(model, provider, settings.input_shape), clock, logger, provider, embedding },
      thresholds: { ...(threshold === undefined ? {} : { score: threshold }), perClass: thresholds },
      ...(threads === undefined ? {} : { workers: threads }),
      recycle: (data) => {
        pool.give(data);
      },
    });
  };
}
