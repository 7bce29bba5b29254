import type { Logger } from '../../services/shared/core/logger.ts';
import type { KafkaDriver } from '../../services/shared/bus/kafka/kafka-driver.ts';
import { createKafkaMessageBus, type KafkaMessageBus } from '../../services/shared/bus/kafka/kafka-message-bus.ts';
import {
  defaultKafkaTuning,
  type KafkaClientName,
  type KafkaConnectionSettings,
  type KafkaTuning,
} from '../../services/shared/bus/kafka/kafka-settings.ts';
import { createKafkajsDriver } from '../../services/shared/bus/kafka/kafkajs/kafkajs-driver.ts';
import { createPlatformaticDriver } from '../../services/shared/bus/kafka/platformatic/platformatic-driver.ts';
import type { RecordSerde } from '../../services/shared/bus/kafka/serde.ts';
import { ensureTopics } from '../../services/shared/bus/kafka/topic-definition.ts';

export type { KafkaClientName };
export const kafkaClients: readonly KafkaClientName[] = ['kafkajs', 'platformatic'];
export const deadLettersTopic = 'test.dead-letters';

const createDriver = { kafkajs: createKafkajsDriver, platformatic: createPlatformaticDriver };

export interface TestBusOptions {
  readonly tuning?: Partial<KafkaTuning>;
  readonly serde?: RecordSerde<unknown>;
  readonly delivery?: 'exactly-once' | 'at-least-once';
  readonly connection?: Partial<KafkaConnectionSettings>;
  readonly logger?: Logger;
  readonly wrapDriver?: (driver: KafkaDriver) => KafkaDriver;
}

/** Values as JSON; what is not JSON cannot be decoded. */
export const jsonSerde: RecordSerde<unknown> = {
  encode: (value) => ({ value: Buffer.from(JSON.stringify(value)) }),
  decode: (record) => {
    if (record.value === null) throw new Error('the record has no value');
    return JSON.parse(record.value.toString('utf8')) as unknown;
  },
};

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

export function openTestBus(
  client: KafkaClientName,
  brokers: readonly string[],
  options: TestBusOptions = {},
): KafkaMessageBus {
  const { wrapDriver = (driver: KafkaDriver) => driver, logger = silentLogger } = options;
  const tuning = { ...defaultKafkaTuning, ...options.tuning };
  const connection = { brokers, clientId: `test-${String(process.pid)}`, ...options.connection };
  return createKafkaMessageBus(wrapDriver(createDriver[client]({ connection, tuning, logger })), {
    serdeOf: () => options.serde ?? jsonSerde,
    deadLettersTopic,
    tuning,
    logger,
    ...(options.delivery === undefined ? {} : { delivery: options.delivery }),
  });
}

export async function createTestTopics(
  bus: KafkaMessageBus,
  names: readonly string[],
  partitions = 3,
  replicationFactor = 1,
): Promise<void> {
  const minInSyncReplicas = Math.min(2, replicationFactor);
  const definition = {
    partitions,
    replicationFactor,
    minInSyncReplicas,
    cleanup: 'delete',
    retentionMs: 3_600_000,
  } as const;
  const topics = names.map((name) => ({ name, ...definition }));
  await ensureTopics(bus.admin, [{ name: deadLettersTopic, ...definition, partitions: 1 }, ...topics]);
}
