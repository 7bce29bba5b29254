import type { Topic } from '#shared/bus/message-bus';
import type { Clock } from '#shared/core/clock';
import { toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { IncomingRecord } from './kafka-driver.ts';
import type { RecordSerde, SerdeOfTopic } from './serde.ts';
import type { TopicReader, TopicSpan } from './topic-reader.ts';

export interface FollowedRecord<Value> {
  readonly key: string;
  /** Null where the key was deleted. */
  readonly value: Value | null;
  readonly offset: bigint;
  /** How long ago it was written. */
  readonly ageMs: number;
}

export interface FollowTopicOptions<Value> {
  readonly topic: Topic<Value>;
  readonly serdeOf: SerdeOfTopic;
  readonly openReader: () => TopicReader;
  readonly onRecord: (record: FollowedRecord<Value>) => void;
  /**
   * `first`, the default: all that is there and what comes; after trouble all of it again. `end`: what is written from now on; after trouble
   * from where it was.
   */
  readonly from?: 'first' | 'end';
  /** Default: all. */
  readonly partitions?: readonly number[];
  /** Records of other keys are passed over without being decoded. Default: none are. */
  readonly wants?: (key: string) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Reads a topic on and on, without a group, until the signal; whatever happens to Kafka meanwhile. What cannot be read is passed over with
 * a line in the log.
 */
export async function followTopic<Value>(options: FollowTopicOptions<Value>, signal: AbortSignal): Promise<void> {
  const { topic, openReader, clock, logger } = options;
  // The serde of a topic gives its records.
  const serde = options.serdeOf(topic.name) as RecordSerde<Value>;
  /** Where to go on, by partition. */
  const reached = new Map<number, bigint>();
  while (!signal.aborted) {
    const reader = openReader();
    try {
      const span = spanFrom(await reader.span(topic.name, {}), options, reached);
      for await (const { partition, records } of reader.follow(span, signal)) {
        for (const record of records) {
          await take(record, serde, options);
          reached.set(partition, record.offset + 1n);
        }
      }
    } catch (thrown) {
      const error = toAppError(thrown);
      logger.warn({ topic: topic.name, code: error.code, reason: error.message }, 'cannot be read, trying again');
      await clock.sleep(1_000, signal).catch(() => undefined);
    } finally {
      await reader.close().catch(() => undefined); // it may have failed before
    }
  }
}

function spanFrom<Value>(
  span: TopicSpan,
  { from = 'first', partitions: wanted }: FollowTopicOptions<Value>,
  reached: Map<number, bigint>,
): TopicSpan {
  const partitions = span.partitions
    .filter(({ partition }) => wanted?.includes(partition) ?? true)
    .map((part) => {
      if (from === 'first') return part;
      // Seen for the first time: what was there before is not asked for. A topic that was made anew is shorter than we remember.
      const known = reached.get(part.partition) ?? part.end;
      const next = known > part.end ? part.from : known < part.from ? part.from : known;
      reached.set(part.partition, next);
      return { ...part, from: next };
    });
  return { ...span, partitions };
}

async function take<Value>(
  { key, value, headers, offset, timestampMs }: IncomingRecord,
  serde: RecordSerde<Value>,
  { topic, onRecord, wants, clock, logger }: FollowTopicOptions<Value>,
): Promise<void> {
  if (key === null || wants?.(key) === false) return;
  const ageMs = clock.nowUs() / 1000 - timestampMs;
  if (value === null) {
    onRecord({ key, value, offset, ageMs });
    return;
  }
  try {
    const decoded = serde.decode({ key, value, headers });
    // Known schemas are decoded at once: thousands of records a second need not wait a turn each.
    onRecord({ key, value: decoded instanceof Promise ? await decoded : decoded, offset, ageMs });
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.retryable) throw error;
    logger.warn({ topic: topic.name, offset: Number(offset), reason: error.message }, 'record passed over');
  }
}
