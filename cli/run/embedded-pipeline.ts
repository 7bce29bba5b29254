import { randomUUID } from 'node:crypto';
import type { CameraStatus, DetectionFrame, ProducerRecord } from '#schemas';
import { createMemoryMessageBus } from '#shared/bus/memory-message-bus';
import { outgoing } from '#shared/bus/message-bus';
import { cameraStatusTopic, detectionsTopic, framesTopic } from '#shared/bus/topics';
import { closeAll } from '#shared/core/close-all';
import type { Clock } from '#shared/core/clock';
import { toAppError, type AppError } from '#shared/core/errors';
import type { SampledFrame } from '#shared/core/frame';
import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { Logger } from '#shared/core/logger';
import type { Metrics } from '#shared/core/metrics';
import type { Readiness, Service } from '#shared/core/service';
import { packageVersion } from '#shared/runtime/package-version';
import type { InferenceEngine, OpenEngine } from '../../services/inference/core/ports.ts';
import type { KeptDriftWatch } from '../models/drift.ts';
import { createInferenceService, type InferenceService } from '../../services/inference/service.ts';
import { ingestDefaults } from '../../services/ingest/config.ts';
import type { CameraSpec } from '../../services/ingest/core/camera-spec.ts';
import type { CameraSnapshot } from '../../services/ingest/core/camera-supervisor.ts';
import type { EpochStore, OpenFrameSource } from '../../services/ingest/core/ports.ts';
import { createIngestService, type IngestService } from '../../services/ingest/service.ts';
import type { ResultsCounts, ResultsWriter } from '../../services/results/core/ports.ts';

export interface EmbeddedPipelineOptions {
  readonly cameras: readonly CameraSpec[];
  readonly openSource: OpenFrameSource;
  readonly engine: InferenceEngine;
  /** For other versions of the model while it runs. */
  readonly openEngine: OpenEngine;
  readonly epochs: EpochStore;
  readonly pool: FrameBufferPool;
  readonly results: ResultsWriter;
  /** Called for every record of a camera that was written; for the summary and the live view. */
  readonly onDetections: (record: DetectionFrame) => void;
  readonly drift?: KeptDriftWatch;
  /** Called for every record that was written, those of a model in shadow too. */
  readonly onRecord?: (record: DetectionFrame) => void;
  /** Called for every status that was written. */
  readonly onStatus?: (status: CameraStatus) => void;
  /** Sees every frame before it is handed over; must not keep its pixels. */
  readonly onFrame?: (frame: SampledFrame) => void;
  /** Cameras come and go while it runs, so that it never ends with them. Default false. */
  readonly keepsRunning?: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface EmbeddedPipeline extends Service {
  readonly ingest: Pick<IngestService, 'put' | 'refuse' | 'remove'>;
  /** The model that is active, and where roll-outs are carried out. */
  readonly inference: Pick<InferenceService, 'model' | 'inputGeometry' | 'stage'>;
  cameras(): readonly CameraSnapshot[];
  results(): ResultsCounts;
}

/** What a stopping process still gives results to arrive: less than the supervisor gives the whole of draining. */
const deliveryTimeoutMs = 10_000;

/** Everything in one process: cameras -> frames -> detections -> results, over the bus in memory. */
export function createEmbeddedPipeline(options: EmbeddedPipelineOptions): EmbeddedPipeline {
  const { engine, results, clock, logger, metrics, onDetections } = options;
  const instanceId = randomUUID();
  const producer = (service: string): ProducerRecord => ({ service, instance_id: instanceId, version: packageVersion });
  // One frame of a camera waits here while others are run; more would only make live results later, and files wait anyway.
  const bus = createMemoryMessageBus({ capacityPerKey: 1 });
  const inference = createInferenceService({
    ...(options.drift === undefined ? {} : { drift: options.drift }),
    ...{ engine, openEngine: options.openEngine, producer: producer('inference'), clock, logger, metrics },
    onShadow: (record) => bus.publish(detectionsTopic, { key: record.header.camera_id, value: record }),
  });
  let failure: AppError | undefined;
  const ingest = createIngestService({
    cameras: options.cameras,
    endsWithCameras: options.keepsRunning !== true,
    config: ingestDefaults,
    openSource: options.openSource,
    publishFrame: async (frame) => {
      if (failure !== undefined) throw failure;
      options.onFrame?.(frame);
      await bus.publish(framesTopic, { key: frame.cameraId, value: frame });
    },
    // What failed has said so; that each camera cannot tell its end any more adds nothing.
    publishStatus: async (status) => {
      if (failure === undefined) await bus.publish(cameraStatusTopic, { key: status.camera_id, value: status });
    },
    epochs: options.epochs,
    pool: options.pool,
    clock,
    logger,
    metrics,
    producer: producer('ingest'),
    random: Math.random,
  });

  const failed = Promise.withResolvers<never>();
  // Whoever waits for `finished` sees it; before that nobody may be waiting.
  failed.promise.catch((error: unknown) => {
    failure = toAppError(error);
  });
  let closing: Promise<void> | undefined;

  async function writeDetections(record: DetectionFrame): Promise<void> {
    await results.writeDetections(record);
    options.onRecord?.(record);
    if (record.model.role !== 'SHADOW') onDetections(record);
  }

  async function writeStatus(status: CameraStatus): Promise<void> {
    await results.writeStatus(status);
    options.onStatus?.(status);
  }

  async function start(): Promise<void> {
    await inference.start();
    // After the model: a start that fails on it leaves the results of an earlier run where they are.
    await results.open();
    const subscriptions = await Promise.all([
      // One frame more than there are workers: the next one lies ready when a worker comes free.
      bus.process(framesTopic, { group: 'inference', maxInFlight: engine.workers + 1 }, async ({ key, value }) => [
        outgoing(detectionsTopic, key, await inference.analyse(value)),
      ]),
      bus.consume(detectionsTopic, { group: 'results', maxInFlight: 64 }, ({ value }) => writeDetections(value)),
      bus.consume<CameraStatus>(cameraStatusTopic, { group: 'results', maxInFlight: 64 }, ({ value }) =>
        writeStatus(value),
      ),
    ]);
    for (const subscription of subscriptions) subscription.failed.catch(failed.reject);
    await ingest.start();
  }

  async function drain(): Promise<void> {
    await Promise.race([ingest.drain(), failed.promise]);
    await Promise.race([bus.idle(), failed.promise]);
    await inference.drain();
    // Records of a model in shadow may have come last.
    await Promise.race([bus.idle(), failed.promise]);
    // What has not arrived by then is told by close(), with the reason.
    if (results.drain !== undefined) await Promise.race([results.drain(), clock.sleep(deliveryTimeoutMs)]);
  }

  async function close(): Promise<void> {
    // After a failure nobody takes frames any more: only the end of the bus lets go of a camera that waits with one.
    const closeIngest = (): Promise<unknown> =>
      failure !== undefined ? Promise.all([ingest.close(), bus.close()]) : ingest.close();
    const closeDrift = (): Promise<void> => Promise.resolve(options.drift?.close());
    await closeAll([closeIngest, () => bus.close(), () => inference.close(), closeDrift, () => results.close()]);
  }

  return {
    name: 'sightline',
    ingest,
    inference,
    start,
    finished: Promise.race([ingest.finished.then(() => results.drain?.()), failed.promise]),
    drain,
    close: () => (closing ??= close()),
    readiness(): Readiness {
      for (const service of [inference, ingest]) {
        const readiness = service.readiness();
        if (!readiness.ready) return readiness;
      }
      return { ready: true };
    },
    cameras: () => ingest.cameras(),
    results: () => results.counts(),
  };
}
