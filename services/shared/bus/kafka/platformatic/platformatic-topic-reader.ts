import { Consumer } from '@platformatic/kafka';
import { AppError } from '#shared/core/errors';
import type { FetchedRecords } from '../kafka-driver.ts';
import type { KafkaConnectionSettings, KafkaTuning } from '../kafka-settings.ts';
import type { PartitionRecords, TimeRange, TopicReader, TopicSpan } from '../topic-reader.ts';
import { FetchLoop } from './fetch-loop.ts';
import { createPlatformaticAdmin } from './platformatic-admin.ts';
import { guard } from './platformatic-errors.ts';
import { baseOptions } from './platformatic-options.ts';

export function createPlatformaticTopicReader(connection: KafkaConnectionSettings, tuning: KafkaTuning): TopicReader {
  const base = baseOptions(connection, tuning);
  const admin = createPlatformaticAdmin(base);
  /**
   * One for each topic: a client that forgets what it knew of the brokers while it asks for one of two topics throws out of a socket's callback, where nobody
   * catches it (2.12.1, seen when a broker was lost).
   */
  const consumers = new Map<string, Consumer>();

  const consumerOf = (topic: string): Consumer => {
    const known = consumers.get(topic);
    if (known !== undefined) return known;
    const consumer = new Consumer({
      ...base,
      // The client wants a group's name; without a join none comes to be.
      groupId: `${connection.clientId}-reads-without-a-group`,
      autocommit: false,
    });
    consumer.on('error', () => undefined); // connection troubles come back as rejections of the calls
    consumer.topics.track(topic);
    consumers.set(topic, consumer);
    return consumer;
  };

  const span = async (topic: string, { sinceMs, untilMs }: TimeRange): Promise<TopicSpan> => {
    const [first, end] = [await admin.committedOffsets(topic, 'first'), await admin.committedOffsets(topic, 'end')];
    const since = sinceMs === undefined ? undefined : await admin.committedOffsets(topic, sinceMs);
    const until = untilMs === undefined ? undefined : await admin.committedOffsets(topic, untilMs);
    const partitions = [...end].map(([partition, offset]) => {
      const last = offset ?? 0n;
      const from = since === undefined ? (first.get(partition) ?? 0n) : (since.get(partition) ?? last);
      // The two moments are looked up one after the other, and a record's clock may run backwards.
      const before = until?.get(partition) ?? last;
      return { partition, from: from < last ? from : last, end: before < last ? before : last };
    });
    return { topic, partitions, startsMidway: partitions.some(({ from }) => from > 0n) };
  };

  const startLoop = (topic: string): { loop: FetchLoop; arrivals: Arrivals } => {
    const arrivals = new Arrivals();
    const loop = new FetchLoop(consumerOf(topic), topic, tuning, {
      records: (fetched) => {
        // Nothing more of this partition until the last piece was used: memory holds one piece of each.
        loop.pause(fetched.partition);
        arrivals.add(fetched);
      },
      firstOffset: async (partition) => {
        const offset = (await admin.committedOffsets(topic, 'first')).get(partition) ?? 0n;
        arrivals.add({ partition, records: [], nextOffset: offset, highWatermark: offset });
        return offset;
      },
      failed: (error) => arrivals.fail(error),
    });
    return { loop, arrivals };
  };

  return {
    span: (topic, range) => span(topic, range),
    async *read({ topic, partitions }) {
      const { loop, arrivals } = startLoop(topic);
      try {
        for (const { partition, from, end } of partitions) {
          if (from >= end) continue;
          loop.start(partition, from);
          for (let reached = from; reached < end;) {
            const fetched = await arrivals.next(tuning.stallTimeoutMs);
            if (fetched === undefined) {
              const place = `${topic}/${String(partition)} at offset ${String(reached)}`;
              throw new AppError('SIGHTLINE_KAFKA_UNREACHABLE', `nothing came of ${place} for too long`, {
                retryable: true,
              });
            }
            if (fetched.partition !== partition) continue;
            reached = fetched.nextOffset;
            yield* committedBefore(fetched, end);
            if (reached < end) loop.resume(partition);
          }
          loop.retain([]);
        }
      } finally {
        await loop.close();
      }
    },
    async *follow({ topic, partitions }, signal) {
      const { loop, arrivals } = startLoop(topic);
      const stop = (): void => arrivals.end();
      signal.addEventListener('abort', stop, { once: true });
      try {
        for (const { partition, from } of partitions) loop.start(partition, from);
        while (!signal.aborted) {
          const fetched = await arrivals.next();
          if (fetched === undefined) return;
          yield* committedBefore(fetched, undefined);
          loop.resume(fetched.partition);
        }
      } finally {
        signal.removeEventListener('abort', stop);
        await loop.close();
      }
    },
    close: () =>
      guard('close a reader', async () => {
        await Promise.all([...consumers.values()].map((consumer) => consumer.close(true)));
        await admin.close();
      }),
  };
}

function* committedBefore(
  { partition, records }: FetchedRecords,
  end: bigint | undefined,
): Generator<PartitionRecords> {
  const wanted = end === undefined ? records : records.filter(({ offset }) => offset < end);
  if (wanted.length > 0) yield { partition, records: wanted };
}

/** What the fetch loop brought and nobody has taken yet: at most one piece of each partition, as it is paused meanwhile. */
class Arrivals {
  readonly #waiting: FetchedRecords[] = [];
  #failure: { readonly error: unknown } | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  add(fetched: FetchedRecords): void {
    this.#waiting.push(fetched);
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Undefined after end(), and where nothing came within the time. */
  async next(timeoutMs?: number): Promise<FetchedRecords | undefined> {
    if (this.#waiting.length === 0 && this.#failure === undefined && !this.#ended) {
      await new Promise<void>((resolve) => {
        const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#ended ? undefined : this.#waiting.shift();
  }
}
