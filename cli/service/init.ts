import { ensureTopics, type TopicDefinition } from '#shared/bus/kafka/topic-definition';
import type { ServiceTopics } from '#shared/bus/topics';
import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { ServiceConnection } from './service-connection.ts';
import { retentionMs, type ServiceSettings } from './service-settings.ts';

/** A camera that was away for longer begins anew. */
const driftKeptMs = 30 * 24 * 3_600_000;

/** The topics of an installation. What they mean is told in docs/distributed.md. */
export function topicDefinitions(topics: ServiceTopics, settings: ServiceSettings): readonly TopicDefinition[] {
  const { partitions, replication } = settings.topics;
  const common = { replicationFactor: replication, minInSyncReplicas: Math.min(2, replication) };
  const keep = retentionMs(settings);
  const compacted = {
    ...common,
    cleanup: 'compact',
    // Small topics that are read from their beginning: what is overwritten shall go soon.
    config: { 'segment.ms': '3600000', 'min.cleanable.dirty.ratio': '0.1' },
  } as const;
  return [
    {
      ...common,
      name: topics.frames.name,
      partitions,
      cleanup: 'delete',
      retentionMs: keep.frames,
      // Whole segments are deleted, so they must not be older than what is kept.
      config: { 'segment.ms': String(Math.max(60_000, Math.round(keep.frames / 4))) },
    },
    // As many as of frames: the records of a camera then come from one partition and go to one.
    { ...common, name: topics.detections.name, partitions, cleanup: 'delete', retentionMs: keep.results },
    { ...compacted, name: topics.cameraStatus.name, partitions },
    // One: its order is that of all changes.
    { ...compacted, name: topics.cameras.name, partitions: 1 },
    // One: its order is that of all steps. Every record has a key of its own, so that all of them stay.
    { ...compacted, name: topics.models.name, partitions: 1 },
    // As many as of frames: whoever gets a partition of those reads the one of the same number here. What is of no camera any more goes by age.
    { ...compacted, name: topics.drift.name, partitions, cleanup: 'compact,delete', retentionMs: driftKeptMs },
    // One: the offset of a claim is an epoch, and offsets grow within a partition only.
    { ...compacted, name: topics.cameraClaims.name, partitions: 1 },
    // Nobody needs what was told an hour ago. One partition: who has read his own word has read all that was said before.
    { ...common, name: topics.ingestPresence.name, partitions: 1, cleanup: 'delete', retentionMs: 3_600_000 },
    { ...common, name: topics.deadLetters, partitions: 1, cleanup: 'delete', retentionMs: keep.results },
  ];
}

/** Makes what is missing and changes nothing that is there. May run at any time, again, and several at once. */
export async function initialise(
  connection: ServiceConnection,
  { settings, logger, signal }: { settings: ServiceSettings; logger: Logger; signal: AbortSignal },
): Promise<void> {
  const { bus, topics } = connection;
  await connection.persist(
    'Kafka',
    async () => {
      try {
        for (const { name, outcome } of await ensureTopics(bus.admin, topicDefinitions(topics, settings)))
          logger.info({ topic: name, outcome }, 'topic');
      } catch (error) {
        // An operator may have decided otherwise, and another number of partitions would tear the order of cameras.
        if (!(error instanceof AppError) || error.code !== 'SIGHTLINE_KAFKA_TOPIC_MISMATCH') throw error;
        logger.warn({ differences: error.message }, 'topics have other settings than those asked for; they stay');
      }
    },
    signal,
  );
  await connection.persist('schema registry', () => connection.serdes.register(), signal);
  logger.info({}, 'topics and schemas are ready');
}
