import { randomUUID } from 'node:crypto';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { Service } from '#shared/core/service';
import { createRolloutController } from '#shared/core/rollout/rollout-controller';
import { packageVersion } from '#shared/runtime/package-version';
import { readRedisEnvironment } from '#shared/runtime/redis-environment';
import { systemClock } from '#shared/runtime/system-clock';
import { openRedisByteCache } from '#shared/store/redis/redis-byte-cache';
import { createTopicRolloutLog } from '#shared/store/topic-rollout-log';
import { openDriftWatch } from '../models/drift.ts';
import { loadEmbedding } from '../models/chosen-embedding.ts';
import { createEngineMaker } from '../models/engine-maker.ts';
import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { createDetectionCache } from '../../services/inference/core/detection-cache.ts';
import type { InferenceEngine } from '../../services/inference/core/ports.ts';
import { createInferenceService } from '../../services/inference/service.ts';
import { defaultStateDirectory, modelDirectories } from '../model-directories.ts';
import { chooseModel } from '../models/chosen-model.ts';
import { createVersionLoader } from '../models/version-loader.ts';
import { createInferenceWorker } from './inference-worker.ts';
import { serve } from './serve.ts';
import { openServiceConnection } from './service-connection.ts';
import { loadServiceSettings, type ServiceRequest } from './service-settings.ts';

/** Decoded pictures on their way to a worker thread and back. */
const pooledFrameBytes = 32 * 1024 * 1024;
/** As long as Kafka may bring a frame again after a failure, and more; Redis throws the oldest out before when it is short of memory. */
const knownBoxesMs = 10 * 60_000;

/** `sightline service inference`. */
export async function runInference(request: ServiceRequest): Promise<void> {
  const settings = loadServiceSettings(request, process.env);
  await serve('inference', settings, async ({ logger, metrics }) => {
    const clock = systemClock;
    const producer = { service: 'inference', instance_id: randomUUID(), version: packageVersion };
    const { models_dir: modelsDir, state_dir: stateDir } = settings;
    const library = createModelLibrary({
      directories: modelDirectories({ modelsDir, stateDir }, process.env),
      publicKeyFile: settings.model_key_file,
      inputShape: settings.input_shape,
    });
    const { nameOrPath, reason } = await chooseModel(library, settings.model);
    logger.info({ model: nameOrPath, ...(reason === undefined ? {} : { reason }) }, 'model');
    const pool = createFrameBufferPool({ maxBytes: pooledFrameBytes });
    const model = await library.load(nameOrPath);
    const loadVersion = createVersionLoader(library, model);
    const engineOf = createEngineMaker({
      ...{ settings, stateDir: stateDir ?? defaultStateDirectory(process.env), pool, clock, logger },
      embedding: await loadEmbedding(library, settings.embedding_model, logger),
    });
    const engine = engineOf(model);
    const redis = readRedisEnvironment(process.env);
    const { prefix } = settings.topics;
    const store =
      redis === undefined
        ? undefined
        : await openRedisByteCache({ settings: redis, prefix: `${prefix}:`, clock, logger, metrics });
    const cacheOf = ({ manifest, digest, embeddingModel }: InferenceEngine) => {
      const rules = JSON.stringify([manifest, settings.threshold, settings.thresholds, embeddingModel]);
      return store && createDetectionCache({ cache: store, digest, rules, ttlMs: knownBoxesMs });
    };
    const connection = await openServiceConnection({ settings, environment: process.env, producer, clock, logger });
    const { bus, topics, serdes, openReader } = connection;
    const drift = await openDriftWatch({ windowHours: settings.drift_window_hours, clock, logger, metrics });
    const inference = createInferenceService({
      ...(drift && { drift }),
      ...{ engine, openEngine: async (ref) => engineOf(await loadVersion(ref)), cacheOf },
      async onShadow(record) {
        rollouts.observe(record);
        // Outside the transaction of its frame, which is not to wait for it. What a kill takes with it is one look less.
        await bus.publish(topics.detections, { key: record.header.camera_id, value: record });
      },
      ...{ producer, clock, logger, metrics },
    });
    const rollouts = createRolloutController({
      log: createTopicRolloutLog({ bus, topic: topics.models, serdeOf: serdes.serdeOf, openReader, clock, logger }),
      ...{ stage: inference.stage, clock, logger },
    });
    const worker = createInferenceWorker({
      ...{ connection, inference, rollouts, ...(drift && { drift }) },
      // One more than there are workers is decoded while those are run; another waits ready.
      maxInFlight: engine.workers + 2,
      group: `${prefix}.inference`,
      logger,
      metrics,
    });
    return store === undefined ? worker : closingAlso(worker, store);
  });
}

function closingAlso(service: Service, store: { close(): Promise<void> }): Service {
  let closing: Promise<void> | undefined;
  return { ...service, close: () => (closing ??= service.close().finally(() => store.close())) };
}
