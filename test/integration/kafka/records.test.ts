import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { outgoing, type Topic } from '../../../services/shared/bus/message-bus.ts';
import type { KafkaMessageBus } from '../../../services/shared/bus/kafka/kafka-message-bus.ts';
import {
  jsonSerde,
  createTestTopics,
  deadLettersTopic,
  kafkaClients,
  openTestBus,
  type TestBusOptions,
} from '../../support/kafka-buses.ts';
import type { RecordHeaders, RecordSerde } from '../../../services/shared/bus/kafka/serde.ts';

const brokers = inject('kafkaBrokers');
let topicNumber = 0;

async function until(condition: () => boolean, what: () => string, limitMs = 15_000): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`stalled: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe.skipIf(brokers.length === 0).each(kafkaClients)('records on Kafka by %s', (client) => {
  function open(options?: TestBusOptions): KafkaMessageBus {
    const bus = openTestBus(client, brokers, options);
    onTestFinished(() => bus.close());
    return bus;
  }

  async function freshTopic(bus: KafkaMessageBus, partitions = 1): Promise<Topic<number>> {
    topicNumber += 1;
    const name = `records-${client}-${String(process.pid)}-${String(topicNumber)}`;
    await createTestTopics(bus, [name], partitions);
    return { name };
  }

  it('tells the offset of what it published, growing within a key', async () => {
    const bus = open();
    const topic = await freshTopic(bus, 3);
    const positions = await Promise.all(
      [1, 2, 3].map((value) => bus.publishWithOffset(topic, { key: 'front', value })),
    );
    expect(positions.map((position) => position.offset)).toEqual([0n, 1n, 2n]);
    expect(new Set(positions.map((position) => position.partition)).size).toBe(1);
  });

  it('sends what cannot be decoded to the dead letters with its position, and goes on', async () => {
    const poison: RecordSerde<unknown> = {
      ...jsonSerde,
      encode: (value) => ({ value: Buffer.from(value === 2 ? '{broken' : JSON.stringify(value)) }),
    };
    const [bus, writer] = [open(), open({ serde: poison })];
    const [input, output] = [await freshTopic(bus), await freshTopic(bus)];
    const letters: { headers: RecordHeaders; value: string | undefined }[] = [];
    const keepAll: RecordSerde<unknown> = {
      ...jsonSerde,
      decode: (record) => ({ headers: record.headers, value: record.value?.toString() }),
    };
    const reader = open({ serde: keepAll });
    await reader.consume({ name: deadLettersTopic }, { group: input.name, maxInFlight: 1 }, (message) => {
      const letter = message.value as (typeof letters)[number];
      if (String(letter.headers['sightline-topic']) === input.name) letters.push(letter);
      return Promise.resolve();
    });
    const seen: number[] = [];
    await bus.consume(output, { group: 'r', maxInFlight: 1 }, (message) => {
      seen.push(message.value);
      return Promise.resolve();
    });
    await bus.process(input, { group: 'p', maxInFlight: 4 }, (message) =>
      Promise.resolve([outgoing(output, message.key, message.value)]),
    );
    for (const value of [1, 2, 3]) await writer.publish(input, { key: 'front', value });
    await until(
      () => seen.length === 2 && letters.length === 1,
      () => `${String(seen.length)} results, ${String(letters.length)} letters`,
    );
    expect(seen).toEqual([1, 3]);
    const [letter] = letters;
    expect(letter?.value).toBe('{broken');
    const text = Object.fromEntries(
      Object.entries(letter?.headers ?? {}).map(([name, value]) => [name, value.toString()]),
    );
    expect(text).toMatchObject({ 'sightline-topic': input.name, 'sightline-partition': '0', 'sightline-offset': '1' });
  });

  it('pauses a partition whose camera hangs, while the others of the topic go on', async () => {
    const bus = open({ tuning: { maxBufferedRecordsPerPartition: 8 } });
    const topic = await freshTopic(bus, 2);
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const seen = new Map<string, number>();
    const keys = ['camera-0', 'camera-1', 'camera-2', 'camera-3', 'camera-4'];
    const positions = await Promise.all(keys.map((key) => bus.publishWithOffset(topic, { key, value: -1 })));
    const hanging = positions.findIndex((position) => position.partition === 0);
    const other = positions.findIndex((position) => position.partition === 1);
    await bus.consume(topic, { group: 'g', maxInFlight: 4 }, async (message) => {
      if (message.key === keys[hanging] && message.value >= 0) await gate;
      seen.set(message.key, (seen.get(message.key) ?? 0) + 1);
    });
    for (let value = 0; value < 60; value += 1) {
      for (const index of [hanging, other]) await bus.publish(topic, { key: keys[index] ?? '', value });
    }
    await until(
      () => seen.get(keys[other] ?? '') === 61,
      () => JSON.stringify([...seen]),
    );
    expect(seen.get(keys[hanging] ?? '')).toBe(1);
    expect(bus.lag().find((lag) => lag.partition === 0)?.lag).toBeGreaterThan(0);
    release();
    await bus.idle();
    expect(seen.get(keys[hanging] ?? '')).toBe(61);
  });

  it('says that a topic is missing, at once', async () => {
    const bus = open();
    const missing: Topic<number> = { name: 'nobody-made-this' };
    const handler = (): Promise<void> => Promise.resolve();
    await expect(bus.publish(missing, { key: 'a', value: 1 })).rejects.toMatchObject({
      code: 'SIGHTLINE_KAFKA_TOPIC_MISSING',
    });
    await expect(bus.consume(missing, { group: 'g', maxInFlight: 1 }, handler)).rejects.toMatchObject({
      code: 'SIGHTLINE_KAFKA_TOPIC_MISSING',
    });
  });

  it('says that nobody listens at the address', async () => {
    const bus = open({ connection: { brokers: ['127.0.0.1:9'] } });
    await expect(bus.publish({ name: 'any' }, { key: 'a', value: 1 })).rejects.toMatchObject({
      code: 'SIGHTLINE_KAFKA_UNREACHABLE',
      retryable: true,
    });
  });

  it('refuses a record that is too large for the topic before it reaches the broker', async () => {
    const bus = open();
    const topic: Topic<string> = { name: (await freshTopic(bus)).name };
    await expect(bus.publish(topic, { key: 'a', value: 'x'.repeat(1_100_000) })).rejects.toMatchObject({
      code: 'SIGHTLINE_KAFKA_RECORD_TOO_LARGE',
    });
  });

  it('names every setting of an existing topic that differs from its definition', async () => {
    const bus = open();
    const { name } = await freshTopic(bus);
    await expect(createTestTopics(bus, [name], 5)).rejects.toMatchObject({
      code: 'SIGHTLINE_KAFKA_TOPIC_MISMATCH',
      message: `${name}: partitions is 1, wanted 5`,
    });
  });
});
