import { randomUUID } from 'node:crypto';
import type { KafkaMessageBus } from '#shared/bus/kafka/kafka-message-bus';
import type { EncodedRecord, RecordSerde } from '#shared/bus/kafka/serde';
import type { TimeRange } from '#shared/bus/kafka/topic-reader';
import { DeadLetterList, type DeadLetterListOptions, type DeadLetterRecord } from '#shared/core/dead-letter';
import { AppError } from '#shared/core/errors';
import { createLogger } from '#shared/runtime/logger';
import { packageVersion } from '#shared/runtime/package-version';
import { systemClock } from '#shared/runtime/system-clock';
import { openServiceConnection } from '../service/service-connection.ts';
import { loadServiceSettings } from '../service/service-settings.ts';
import type { ReplayPorts } from './replay.ts';

export interface DeadLettersAddress {
  readonly brokers?: string;
  readonly prefix?: string;
}

export interface DeadLettersTopic extends ReplayPorts {
  readonly name: string;
  list(range: TimeRange, options: DeadLetterListOptions): Promise<DeadLetterList>;
  records(range: TimeRange): AsyncGenerator<DeadLetterRecord, void>;
  /** Topics of this installation: nothing is written to others, whatever a header says. */
  mayWrite(topic: string): boolean;
}

/** What Kafka gets to answer; a command for people does not wait for ever. */
const answerTimeoutMs = 15_000;
/** Bytes as they are: what could not be read is not read here either. */
const asItIs: RecordSerde<unknown> = {
  encode: (value) => value as EncodedRecord, // given by `write` below
  decode: ({ value, headers }) => ({ value, headers }),
};

/** Calls `work` with the dead letters of an installation, and closes what it took. */
export async function withDeadLetters(
  { brokers, prefix }: DeadLettersAddress,
  work: (topic: DeadLettersTopic) => Promise<void>,
): Promise<void> {
  const settings = loadServiceSettings(
    // The registry is not asked: what lies here need not be of any schema.
    { flags: { brokers, topics: prefix === undefined ? {} : { prefix } } },
    { SCHEMA_REGISTRY_URL: 'http://not-asked', ...process.env },
  );
  const clock = systemClock;
  const logger = await createLogger({ level: 'error', format: 'auto' });
  const producer = { service: 'command', instance_id: randomUUID(), version: packageVersion };
  const connection = await openServiceConnection({ settings, environment: process.env, producer, clock, logger });
  const { topics } = connection;
  const name = topics.deadLetters;
  const reader = connection.openReader();
  let bus: KafkaMessageBus | undefined;
  const write = async (topic: string, key: string, value: EncodedRecord): Promise<void> => {
    bus ??= await connection.openBus(() => asItIs);
    await bus.publish({ name: topic }, { key, value });
  };
  async function* recordsOf(range: TimeRange): AsyncGenerator<DeadLetterRecord, void> {
    for await (const { records } of reader.read(await reader.span(name, range))) yield* records;
  }
  const known = new Set([topics.frames, topics.detections, topics.cameraStatus].map((topic) => topic.name));
  try {
    const limit = AbortSignal.timeout(answerTimeoutMs);
    await connection
      .persist(`topic ${name}`, () => reader.span(name, {}), limit)
      .catch((error: unknown) => {
        if (!limit.aborted) throw error;
        throw new AppError('SIGHTLINE_KAFKA_UNREACHABLE', connection.waitsFor ?? 'no answer in time', { cause: error });
      });
    await work({
      name,
      async list(range, options) {
        const list = new DeadLetterList(options);
        for await (const record of recordsOf(range)) list.addNote(record);
        for await (const record of recordsOf(range)) list.add(record);
        return list;
      },
      records: recordsOf,
      mayWrite: (topic) => known.has(topic),
      publish: ({ topic, key, value, headers }) => write(topic, key, { value, headers }),
      note: (position, headers) => write(name, position, { value: null, headers }),
    });
  } finally {
    await bus?.close();
    await reader.close();
    await connection.close();
  }
}
