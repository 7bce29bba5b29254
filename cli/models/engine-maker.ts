import type { Clock } from '#shared/core/clock';
import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { Logger } from '#shared/core/logger';
import type { LoadedModel } from '../../services/inference/adapters/model-files/model-library.ts';
import { createWorkerThreadEngine } from '../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
import type { ExecutionProvider, InferenceEngine } from '../../services/inference/core/ports.ts';

export interface EngineMakerOptions {
  /** As the settings of a run and of `service inference` name them. */
  readonly settings: {
    readonly provider: ExecutionProvider;
    readonly threshold?: number | undefined;
    readonly thresholds: Readonly<Record<string, number>>;
    readonly threads?: number | undefined;
  };
  readonly pool: FrameBufferPool;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Engines for versions of a model, all by the same settings. */
export function createEngineMaker(options: EngineMakerOptions): (model: LoadedModel) => InferenceEngine {
  const { settings, pool, clock, logger } = options;
  const { provider, threshold, thresholds, threads } = settings;
  return (model) =>
    createWorkerThreadEngine({
      ...{ model, clock, logger, provider },
      thresholds: { ...(threshold === undefined ? {} : { score: threshold }), perClass: thresholds },
      ...(threads === undefined ? {} : { workers: threads }),
      recycle: (data) => {
        pool.give(data);
      },
    });
}
