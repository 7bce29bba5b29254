import type { KafkaMessageBus, KafkaMessageBusOptions } from './kafka-message-bus.ts';
import { createKafkaMessageBus } from './kafka-message-bus.ts';
import type { KafkaConnectionSettings } from './kafka-settings.ts';
import { createKafkajsDriver } from './kafkajs/kafkajs-driver.ts';

/** The bus carried by kafkajs: one transactional id for each input partition. */
export function createKafkajsMessageBus(
  connection: KafkaConnectionSettings,
  options: KafkaMessageBusOptions,
): KafkaMessageBus {
  const { tuning, logger } = options;
  return createKafkaMessageBus(createKafkajsDriver({ connection, tuning, logger }), options);
}
