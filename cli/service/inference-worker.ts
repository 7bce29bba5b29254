import type { KafkaMessage } from '#shared/bus/kafka/kafka-message-bus';
import { outgoing, type OutgoingMessage, type Subscription } from '#shared/bus/message-bus';
import type { DetectionFrame } from '#schemas';
import { closeAll } from '#shared/core/close-all';
import type { SampledFrame } from '#shared/core/frame';
import type { Logger } from '#shared/core/logger';
import type { Metrics } from '#shared/core/metrics';
import type { RolloutController } from '#shared/core/rollout/rollout-controller';
import type { Service } from '#shared/core/service';
import { partitionOfKey } from '#shared/bus/kafka/murmur2';
import type { DriftWatch } from '../../services/inference/drift-watch.ts';
import { FrameOrder } from '../../services/inference/core/frame-order.ts';
import type { InferenceService } from '../../services/inference/service.ts';
import { committedFrames } from './committed-frames.ts';
import { driftStates } from './drift-states.ts';
import type { ServiceConnection } from './service-connection.ts';

export interface InferenceWorkerOptions {
  readonly connection: ServiceConnection;
  readonly inference: InferenceService;
  /** Of the whole installation; followed here. */
  readonly rollouts: RolloutController;
  /** The one that `inference` tells of its frames. */
  readonly drift?: DriftWatch;
  /** Frames under way at once. */
  readonly maxInFlight: number;
  readonly group: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Frames in, detections out, each frame and its record in one transaction; shares the cameras with the others of its group. */
export function createInferenceWorker(options: InferenceWorkerOptions): Service {
  const { connection, inference, rollouts, drift, logger } = options;
  const { bus, topics } = connection;
  const stopping = new AbortController();
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined); // whoever waits for `finished` sees it; before that nobody may be waiting
  const order = new FrameOrder();
  const numbers = workerNumbers(options.metrics, connection);
  let subscription: Subscription | undefined;
  let framePartitions = 1;
  let closing: Promise<void> | undefined;

  async function handle(message: KafkaMessage<SampledFrame>): Promise<readonly OutgoingMessage[]> {
    const { key, value: frame } = message;
    switch (order.judge(frame, message)) {
      case 'next':
        return [outgoing(topics.detections, key, observed(await inference.analyse(frame))), ...keptDrift(key)];
      case 'stale':
        logger.warn({ camera: key, epoch: frame.epoch, frame: frame.frameSeq }, 'frame of an epoch that is over');
        return [outgoing(topics.detections, key, inference.stale(frame))];
      case 'repeat':
        numbers.repeat();
        return [];
    }
  }

  function observed(record: DetectionFrame): DetectionFrame {
    rollouts.observe(record);
    return record;
  }

  /**
   * In the transaction of the frame that it came with: whoever handles that frame again, since this process died before, comes to the same
   * once more, and who reads the topic hears of it once.
   */
  function keptDrift(cameraId: string): readonly OutgoingMessage[] {
    const state = drift?.due(cameraId);
    if (state === undefined) return [];
    const ours = new Set(bus.lag().map(({ partition }) => partition));
    drift?.forget((id) => !ours.has(partitionOfKey(id, framePartitions)));
    return [outgoing(topics.drift, cameraId, state)];
  }

  async function prepareDrift(partitions: readonly number[]): Promise<void> {
    if (drift === undefined) return;
    framePartitions = await bus.admin.partitionCount(topics.frames.name);
    const states = await driftStates(connection, partitions, framePartitions);
    drift.forget((id) => partitions.includes(partitionOfKey(id, framePartitions)));
    drift.restore(states.filter(({ camera_id: id }) => partitions.includes(partitionOfKey(id, framePartitions))));
  }

  /** Knows repeated frames and those of old epochs also where the frames before them were another worker's. */
  async function prepare(partitions: readonly number[]): Promise<void> {
    await prepareDrift(partitions);
    for (const [partition, frames] of await committedFrames(connection, partitions)) order.restart(partition, frames);
  }

  async function start(): Promise<void> {
    await inference.start();
    const { name, version, digest } = inference.model;
    const needed = [topics.frames.name, topics.detections.name, topics.models.name, topics.deadLetters];
    if (drift !== undefined) needed.push(topics.drift.name);
    await connection.ready(needed, stopping.signal);
    await connection.persist(
      'roll-out of models',
      () => rollouts.open({ model: { name, version, digest }, when: 'first' }),
      stopping.signal,
    );
    const { group, maxInFlight } = options;
    subscription = await connection.persist(
      'consumer group',
      () => bus.process(topics.frames, { group, maxInFlight, prepare }, handle),
      stopping.signal,
    );
    subscription.failed.catch(failed.reject);
    logger.info({ group, topic: topics.frames.name }, 'taking frames');
  }

  async function close(): Promise<void> {
    stopping.abort();
    await closeAll([
      () => subscription?.close(),
      () => rollouts.close(),
      () => inference.close(),
      () => connection.close(),
    ]);
  }

  return {
    name: 'inference',
    start,
    finished: failed.promise,
    async drain() {
      stopping.abort();
      // Commits what is finished and leaves the group, so that the others take over at once.
      await subscription?.close();
      await inference.drain();
    },
    close: () => (closing ??= close()),
    readiness() {
      if (stopping.signal.aborted) return { ready: false, reason: 'inference is stopping' };
      const own = inference.readiness();
      if (!own.ready) return own;
      if (subscription === undefined) return { ready: false, reason: connection.waitsFor ?? 'joining the group' };
      const trouble = bus.trouble();
      return trouble === undefined ? { ready: true } : { ready: false, reason: `joining the group anew: ${trouble}` };
    },
  };
}

function workerNumbers(metrics: Metrics, { bus }: ServiceConnection) {
  const repeats = metrics
    .counter({
      name: 'sightline_inference_repeats_total',
      help: 'Frames that ingest sent twice, since it did not know whether the broker had them; left out.',
    })
    .with({});
  metrics
    .gauge({
      name: 'sightline_inference_lag_frames',
      help: 'Frames of our partitions that wait, on the broker or here.',
    })
    .with({})
    .follow(() => bus.lag().reduce((sum, { lag }) => sum + lag, 0));
  metrics
    .gauge({
      name: 'sightline_inference_oldest_frame_seconds',
      help: 'Age of the oldest frame that waits here: what to scale by.',
    })
    .with({})
    .follow(() => Math.max(0, ...bus.lag().map(({ oldestAgeMs }) => oldestAgeMs)) / 1000);
  metrics
    .gauge({ name: 'sightline_inference_partitions', help: 'Partitions of frames that this process has.' })
    .with({})
    .follow(() => bus.lag().length);
  return { repeat: () => repeats.add() };
}
