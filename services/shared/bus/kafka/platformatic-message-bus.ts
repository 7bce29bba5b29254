import type { KafkaMessageBus, KafkaMessageBusOptions } from './kafka-message-bus.ts';
import { createKafkaMessageBus } from './kafka-message-bus.ts';
import type { KafkaConnectionSettings } from './kafka-settings.ts';
import { createPlatformaticDriver } from './platformatic/platformatic-driver.ts';

/** The bus carried by @platformatic/kafka: one transactional producer for each member, offsets guarded by the group's generation. */
export function createPlatformaticMessageBus(
  connection: KafkaConnectionSettings,
  options: KafkaMessageBusOptions,
): KafkaMessageBus {
  const { tuning, logger } = options;
  return createKafkaMessageBus(createPlatformaticDriver({ connection, tuning, logger }), options);
}
