import { randomUUID } from 'node:crypto';
import type { MessageBus } from '../../services/shared/bus/message-bus.ts';
import { defaultKafkaTuning } from '../../services/shared/bus/kafka/kafka-settings.ts';
import { openKafkaMessageBus } from '../../services/shared/bus/kafka/open-kafka-bus.ts';
import { serviceTopics } from '../../services/shared/bus/topics.ts';
import { createSchemaRegistry } from '../../services/shared/codec/schema-registry.ts';
import { createTopicSerdes } from '../../services/shared/codec/topic-serdes.ts';
import { systemClock } from '../../services/shared/runtime/system-clock.ts';
import { silentLogger } from './kafka-buses.ts';

/** Writes to the topics of an installation as its services do, and `garbage` as it stands; reads dead letters as they are. */
export async function openTopicWriter(options: {
  readonly brokers: readonly string[];
  readonly registryUrl: string;
  readonly prefix: string;
}): Promise<{ readonly bus: MessageBus; readonly garbage: Buffer }> {
  const { brokers, registryUrl, prefix } = options;
  const topics = serviceTopics(prefix);
  const producer = { service: 'test', instance_id: randomUUID(), version: '0' };
  const serdes = createTopicSerdes(topics, {
    registry: createSchemaRegistry({ url: registryUrl }),
    producer,
    clock: systemClock,
  });
  await serdes.register();
  const garbage = Buffer.from('no record of ours');
  const bus = await openKafkaMessageBus(
    'platformatic',
    { brokers, clientId: `${prefix}-writer` },
    {
      serdeOf: (name) => ({
        encode: (value) => (value === garbage ? { value: garbage } : serdes.serdeOf(name).encode(value)),
        decode: (record) => (name === topics.deadLetters ? record : serdes.serdeOf(name).decode(record)),
      }),
      deadLettersTopic: topics.deadLetters,
      tuning: defaultKafkaTuning,
      logger: silentLogger,
    },
  );
  return { bus, garbage };
}
