import type { ResultName } from '#schemas';
import type { IncomingRecord } from '#shared/bus/kafka/kafka-driver';
import { defaultKafkaTuning, type KafkaSaslSettings, type KafkaTlsSettings } from '#shared/bus/kafka/kafka-settings';
import type { KafkaUrl } from '#shared/core/kafka-url';
import type { PartitionRecords, TimeRange, TopicReader, TopicSpan } from '#shared/bus/kafka/topic-reader';
import type { RecordBatch } from '#shared/codec/object-container-reader';
import type { RecordTypes } from '#shared/codec/record-codec';
import type { RegisteredRecordCodec } from '#shared/codec/registered-record';
import { AppError } from '#shared/core/errors';

/** Records of a partition, in its order, or one that cannot be read. `file` is the partition: `sightline.detections/0`. */
export type TopicPart = { readonly file: string } & (
  | ({ readonly kind: 'records' } & RecordBatch)
  | { readonly kind: 'undecodable'; readonly offset: bigint; readonly reason: string }
);

export interface TopicAccess {
  readonly tls?: KafkaTlsSettings;
  readonly sasl?: KafkaSaslSettings;
  readonly registryCredentials?: { readonly username: string; readonly password: string };
}

/** The two topics of results as they stand, or from now on. */
export interface TopicResults {
  /** Names of the topics. */
  readonly topics: readonly string[];
  /** Older records are outside of the range or gone. */
  readonly startsMidway: boolean;
  /** When the end of the range was looked up, or the end that was asked for. */
  readonly endTimeUs: number;
  /** All statuses first, then all detections: each partition to the end that it had when this was opened. */
  read(): AsyncGenerator<TopicPart, void>;
  /** Both topics at once from the beginning of the range on, until the signal. */
  follow(onPart: (part: TopicPart) => Promise<void>, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

type Decode = (value: Buffer | null) => Promise<unknown>;

interface Stream {
  readonly schema: ResultName;
  readonly topic: string;
  readonly decode: Decode;
  readonly span: TopicSpan;
}

/** Looks both topics up. Throws SIGHTLINE_KAFKA_* and SIGHTLINE_REGISTRY_*; what is opened has to be closed. */
export async function openTopicResults(url: KafkaUrl, access: TopicAccess, range: TimeRange): Promise<TopicResults> {
  const { registryUrl, prefix } = url;
  if (registryUrl === undefined) {
    throw new AppError('SIGHTLINE_KAFKA_URL_INVALID', 'the schema registry is missing: add ?registry=http://HOST:PORT');
  }
  // Files are read without a Kafka client, so it is loaded here and not with this module.
  const [{ createPlatformaticTopicReader }, { createSchemaRegistry }, { createRegisteredRecordCodec }] =
    await Promise.all([
      import('#shared/bus/kafka/platformatic/platformatic-topic-reader'),
      import('#shared/codec/schema-registry'),
      import('#shared/codec/registered-record'),
    ]);
  const { tls, sasl, registryCredentials } = access;
  const registry = createSchemaRegistry({
    url: registryUrl,
    ...(registryCredentials === undefined ? {} : { credentials: registryCredentials }),
  });
  const decoderOf = (name: ResultName, topic: string): Decode => {
    const codec: RegisteredRecordCodec<RecordTypes[ResultName]> = createRegisteredRecordCodec(name, {
      registry,
      subject: `${topic}-value`,
    });
    return async (value) => codec.decode(value);
  };
  const reader = createPlatformaticTopicReader(
    {
      brokers: url.brokers,
      clientId: `sightline-results-${process.pid}`,
      ...(tls === undefined ? {} : { tls }),
      ...(sasl === undefined ? {} : { sasl }),
    },
    // Many records at once: this reads from a backlog.
    { ...defaultKafkaTuning, fetchMaxBytesPerPartition: defaultKafkaTuning.fetchMaxBytes },
  );
  try {
    const open = async (schema: ResultName, name: string): Promise<Stream> => {
      const topic = `${prefix}.${name}`;
      return { schema, topic, decode: decoderOf(schema, topic), span: await reader.span(topic, range) };
    };
    // In this order, so that the frames which a status speaks of are within the range as far as can be.
    const statuses = await open('camera-status', 'camera-status');
    const detections = await open('detection-frame', 'detections');
    return new OpenTopicResults(reader, [statuses, detections], range);
  } catch (error) {
    await reader.close();
    throw error;
  }
}

class OpenTopicResults implements TopicResults {
  readonly topics: readonly string[];
  readonly startsMidway: boolean;
  readonly endTimeUs: number;
  readonly #reader: TopicReader;
  readonly #streams: readonly Stream[];

  constructor(reader: TopicReader, streams: readonly Stream[], { untilMs = Infinity }: TimeRange) {
    this.#reader = reader;
    this.#streams = streams;
    this.topics = streams.map(({ topic }) => topic);
    this.startsMidway = streams.some(({ schema, span }) => schema === 'detection-frame' && span.startsMidway);
    this.endTimeUs = Math.min(Date.now(), untilMs) * 1000;
  }

  async *read(): AsyncGenerator<TopicPart, void> {
    for (const stream of this.#streams) {
      for await (const piece of this.#reader.read(stream.span)) yield* await partsOf(stream, piece);
    }
  }

  async follow(onPart: (part: TopicPart) => Promise<void>, signal: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const ended = AbortSignal.any([signal, failed.signal]);
    const followOne = async (stream: Stream): Promise<void> => {
      try {
        for await (const piece of this.#reader.follow(stream.span, ended)) {
          for (const part of await partsOf(stream, piece)) await onPart(part);
        }
      } catch (error) {
        failed.abort();
        throw error;
      }
    };
    const outcomes = await Promise.allSettled(this.#streams.map(followOne));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}

async function partsOf(stream: Stream, { partition, records }: PartitionRecords): Promise<TopicPart[]> {
  const file = `${stream.topic}/${partition}`;
  const parts: TopicPart[] = [];
  let batch: unknown[] = [];
  const endBatch = (): void => {
    // The stream's decoder gives records of its schema.
    if (batch.length > 0) parts.push({ kind: 'records', file, schema: stream.schema, records: batch } as TopicPart);
    batch = [];
  };
  for (const record of records) {
    // A null on a topic that keeps the newest of each key says that the camera was taken away.
    if (record.value === null && stream.schema === 'camera-status') continue;
    const decoded = await decode(stream, record);
    if ('record' in decoded) {
      batch.push(decoded.record);
      continue;
    }
    endBatch();
    parts.push({ kind: 'undecodable', file, offset: record.offset, reason: decoded.reason });
  }
  endBatch();
  return parts;
}

async function decode(stream: Stream, { value }: IncomingRecord): Promise<{ record: unknown } | { reason: string }> {
  try {
    return { record: await stream.decode(value) };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code !== 'SIGHTLINE_RECORD_UNDECODABLE' && error.code !== 'SIGHTLINE_REGISTRY_SCHEMA_UNKNOWN')
      throw error;
    return { reason: error.message };
  }
}
