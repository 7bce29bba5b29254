import type { CameraStatus, DetectionFrame } from '#schemas';
import type { KafkaMessageBus } from '#shared/bus/kafka/kafka-message-bus';
import {
  defaultKafkaTuning,
  type KafkaClientName,
  type KafkaConnectionSettings,
} from '#shared/bus/kafka/kafka-settings';
import { openKafkaMessageBus } from '#shared/bus/kafka/open-kafka-bus';
import type { EncodedRecord } from '#shared/bus/kafka/serde';
import { ensureTopics, type TopicDefinition } from '#shared/bus/kafka/topic-definition';
import type { Topic } from '#shared/bus/message-bus';
import { cloudEventHeaders } from '#shared/codec/cloud-event-headers';
import { createRegisteredRecordCodec } from '#shared/codec/registered-record';
import { createSchemaRegistry } from '#shared/codec/schema-registry';
import type { Clock } from '#shared/core/clock';
import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { KafkaDestination } from './core/destination.ts';
import type { ResultsWriter } from './core/ports.ts';
import { RecordDelivery, type EncodedResult } from './core/record-delivery.ts';

export interface KafkaResultsWriterOptions {
  readonly destination: KafkaDestination;
  readonly client: KafkaClientName;
  readonly connection: Omit<KafkaConnectionSettings, 'brokers'>;
  readonly registryCredentials?: { readonly username: string; readonly password: string };
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Some ten thousand records: an outage of minutes for a small site, and no memory to speak of. */
const maxPendingBytes = 8 * 1024 * 1024;
/** What close() still waits for; whoever has more time calls drain() before. */
const closeTimeoutMs = 3_000;
const daysMs = 24 * 3_600_000;

const tuning = {
  ...defaultKafkaTuning,
  // A request costs more than its records, and nobody sees 20 ms. No spacing: whoever delivers has one chunk on its way at a time, and what
  // comes meanwhile waits there and not here.
  publishLingerMs: 20,
  publishSpacingMs: 0,
  // Who tries again is the delivery; it has to hear soon, and close() too.
  requestTimeoutMs: 5_000,
  publishTimeoutMs: 5_000,
};

/** Results on two Kafka topics as registry-encoded Avro, keyed by camera, each record acknowledged by all in-sync replicas. */
export function createKafkaResultsWriter(options: KafkaResultsWriterOptions): ResultsWriter {
  const { destination, clock, logger } = options;
  const { detectionsTopic, statusTopic } = destination;
  const { registryCredentials: credentials } = options;
  const registry = createSchemaRegistry({
    url: destination.registryUrl,
    ...(credentials === undefined ? {} : { credentials }),
  });
  const detections = createRegisteredRecordCodec('detection-frame', { registry, subject: `${detectionsTopic}-value` });
  const statuses = createRegisteredRecordCodec('camera-status', { registry, subject: `${statusTopic}-value` });
  const dataSchemas = { 'detection-frame': '', 'camera-status': '' };
  let bus: KafkaMessageBus | undefined;
  const delivery = new RecordDelivery({
    publish: ({ topic, key, value, headers }) => {
      if (bus === undefined) return Promise.reject(new AppError('SIGHTLINE_INTERNAL', 'the results were not opened'));
      const target: Topic<EncodedRecord> = { name: topic };
      return bus.publish(target, { key, value: { value, headers } });
    },
    maxPendingBytes,
    clock,
    logger,
  });

  async function open(): Promise<void> {
    // The registry first: it is the quicker to say that it is not there.
    const schemaUrl = (id: number): string => `${registry.url}/schemas/ids/${id}`;
    dataSchemas['detection-frame'] = schemaUrl(await detections.register());
    dataSchemas['camera-status'] = schemaUrl(await statuses.register());
    bus = await openKafkaMessageBus(
      options.client,
      { ...options.connection, brokers: destination.brokers },
      {
        // Encoded before they are accepted, so that a wrong record is its writer's and not the bus's.
        serdeOf: () => ({ encode: (value) => value as EncodedRecord, decode: ({ value }) => value }),
        // Nothing is read here.
        deadLettersTopic: '',
        tuning,
        logger,
      },
    );
    try {
      await ensureOwnTopics(bus);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      // The client's words do not say where it looked.
      const words = `${destination.brokers.join(', ')}: ${error.message}`;
      throw new AppError(error.code, words, { cause: error.cause, retryable: error.retryable });
    }
  }

  async function ensureOwnTopics({ admin }: KafkaMessageBus): Promise<void> {
    const { partitions, replicationFactor } = destination;
    const common = { partitions, replicationFactor, minInSyncReplicas: Math.min(2, replicationFactor) };
    const definitions: readonly TopicDefinition[] = [
      { ...common, name: detectionsTopic, cleanup: 'delete', retentionMs: 7 * daysMs },
      { ...common, name: statusTopic, cleanup: 'compact' },
    ];
    try {
      for (const { name, outcome } of await ensureTopics(admin, definitions)) {
        if (outcome === 'created') logger.info({ topic: name, partitions, replicationFactor }, 'topic created');
      }
    } catch (error) {
      // A writer can do with any number of partitions and any retention: those of a topic that is there are the operator's.
      if (!(error instanceof AppError) || error.code !== 'SIGHTLINE_KAFKA_TOPIC_MISMATCH') throw error;
      logger.warn(
        { differences: error.message },
        'topics have other settings than those asked for; they stay as they are',
      );
    }
  }

  async function write(encode: () => EncodedResult): Promise<void> {
    let encoded: EncodedResult;
    try {
      await openOnce();
      encoded = encode();
    } catch (error) {
      delivery.refuse();
      throw error;
    }
    await delivery.offer(encoded);
  }

  const openOnce = once(open);
  return {
    open: openOnce,
    writeDetections: (record: DetectionFrame) =>
      write(() => ({
        topic: detectionsTopic,
        key: record.header.camera_id,
        value: detections.encode(record),
        headers: cloudEventHeaders('detection-frame', record, dataSchemas['detection-frame']),
      })),
    writeStatus: (record: CameraStatus) =>
      write(() => ({
        topic: statusTopic,
        key: record.camera_id,
        value: statuses.encode(record),
        headers: cloudEventHeaders('camera-status', record, dataSchemas['camera-status']),
      })),
    counts() {
      const { delivered, deliveredBytes, lost } = delivery.counts();
      return { recordsWritten: delivered, recordsLost: lost, bytesWritten: deliveredBytes };
    },
    drain: () => delivery.drain(),
    close: once(async () => {
      try {
        await delivery.close(closeTimeoutMs);
      } finally {
        await bus?.close();
      }
    }),
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
