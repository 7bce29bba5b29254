import type { Topic } from '#shared/bus/message-bus';
import type { Clock } from '#shared/core/clock';
import { toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { SerdeOfTopic } from './serde.ts';
import type { TopicReader } from './topic-reader.ts';

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
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Reads a small topic from its beginning and on, without a group, until the signal; whatever happens to Kafka meanwhile. After trouble it
 * begins anew, so records may come again. What cannot be read is passed over with a line in the log.
 */
export async function followTopic<Value>(options: FollowTopicOptions<Value>, signal: AbortSignal): Promise<void> {
  const { topic, openReader, onRecord, clock, logger } = options;
  const serde = options.serdeOf(topic.name);
  while (!signal.aborted) {
    const reader = openReader();
    try {
      for await (const { records } of reader.follow(await reader.span(topic.name, {}), signal)) {
        for (const { offset, key, value, headers, timestampMs } of records) {
          if (key === null) continue;
          const ageMs = clock.nowUs() / 1000 - timestampMs;
          if (value === null) {
            onRecord({ key, value, offset, ageMs });
            continue;
          }
          try {
            // The serde of a topic gives its records.
            onRecord({ key, value: (await serde.decode({ key, value, headers })) as Value, offset, ageMs });
          } catch (thrown) {
            const error = toAppError(thrown);
            if (error.retryable) throw error;
            logger.warn({ topic: topic.name, offset: Number(offset), reason: error.message }, 'record passed over');
          }
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
