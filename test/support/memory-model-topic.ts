import type { ModelInfo } from '#schemas';
import type { KafkaAdmin } from '#shared/bus/kafka/kafka-driver';
import type { TopicReader } from '#shared/bus/kafka/topic-reader';
import { recordTypes } from '#shared/codec/record-codec';
import { createTopicRolloutLog } from '#shared/store/topic-rollout-log';
import { createLogKeeper, machineClock } from './inference-doubles.ts';

/** One partition of a topic in memory, its records as Avro; for logs of several processes over it. */
export function createMemoryModelTopic() {
  const records: { readonly key: string; readonly value: Buffer }[] = [];
  const waiting = new Set<() => void>();
  const type = recordTypes['model-info'];

  const openReader = (): TopicReader => ({
    span: (topic) => Promise.resolve({ topic, partitions: [{ partition: 0, from: 0n, end: 0n }], startsMidway: false }),
    read: () => {
      throw new Error('a log is followed, not read');
    },
    async *follow(_span, signal) {
      for (let next = 0; !signal.aborted;) {
        const record = records[next];
        if (record !== undefined) {
          yield { partition: 0, records: [{ ...record, offset: BigInt(next), headers: {}, timestampMs: Date.now() }] };
          next += 1;
          continue;
        }
        await new Promise<void>((resolve) => {
          waiting.add(resolve);
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
    },
    close: () => Promise.resolve(),
  });

  return {
    keys: () => records.map(({ key }) => key),
    openLog: () =>
      createTopicRolloutLog({
        topic: { name: 'models' },
        bus: {
          publishWithOffset(_topic, { key, value }) {
            records.push({ key, value: type.encode(value as ModelInfo) }); // the topic has no others
            for (const wake of waiting) wake();
            waiting.clear();
            return Promise.resolve({ partition: 0, offset: BigInt(records.length - 1) });
          },
          // The log asks for nothing else.
          admin: {
            offsets: () => Promise.resolve(new Map([[0, { first: 0n, end: BigInt(records.length) }]])),
          } as unknown as KafkaAdmin,
        },
        serdeOf: () => ({
          encode: () => ({ value: null }),
          decode: ({ value }) => type.decode(value ?? Buffer.alloc(0), 0)?.value,
        }),
        openReader,
        clock: machineClock,
        logger: createLogKeeper(),
      }),
  };
}
