import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { createPlatformaticTopicReader } from '../../../services/shared/bus/kafka/platformatic/platformatic-topic-reader.ts';
import { defaultKafkaTuning } from '../../../services/shared/bus/kafka/kafka-settings.ts';
import { createTestTopics, openTestBus } from '../../support/kafka-buses.ts';
import { startKafka } from '../../support/kafka-server.ts';

const topic = { name: 'follow' };

// A broker that is killed has to be one of our own.
describe.skipIf(inject('kafkaBrokers').length === 0 || process.env['KAFKA_BROKERS'] !== undefined)(
  'following a topic',
  () => {
    test(
      'goes on where it was when the broker comes back, without a gap and without a repeat',
      { timeout: 120_000 },
      async () => {
        const server = await startKafka();
        onTestFinished(() => server.stop());
        const bus = openTestBus('platformatic', server.brokers);
        onTestFinished(() => bus.close());
        await createTestTopics(bus, [topic.name]);
        const connection = { brokers: server.brokers, clientId: 'test-follower' };
        const reader = createPlatformaticTopicReader(connection, defaultKafkaTuning);
        onTestFinished(() => reader.close());
        const read: number[] = [];
        const stopped = new AbortController();
        const following = (async () => {
          const span = await reader.span(topic.name, {});
          for await (const { records } of reader.follow(span, stopped.signal)) {
            for (const { value } of records) read.push(Number(value));
          }
        })();
        const write = async (from: number, to: number): Promise<void> => {
          for (let number = from; number <= to; number += 1) await bus.publish(topic, { key: 'gate', value: number });
        };
        await write(1, 50);
        await expect.poll(() => read.length, { timeout: 20_000 }).toBe(50);
        const [node] = server.nodes;
        await node?.kill();
        await node?.restart();
        await write(51, 100);
        await expect.poll(() => read.length, { timeout: 60_000 }).toBe(100);
        expect(read).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
        stopped.abort();
        await following;
      },
    );
  },
);
