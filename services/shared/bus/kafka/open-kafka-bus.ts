import type { KafkaMessageBus, KafkaMessageBusOptions } from './kafka-message-bus.ts';
import type { KafkaClientName, KafkaConnectionSettings } from './kafka-settings.ts';

/** The bus by the chosen client; only that one is loaded. */
export async function openKafkaMessageBus(
  client: KafkaClientName,
  connection: KafkaConnectionSettings,
  options: KafkaMessageBusOptions,
): Promise<KafkaMessageBus> {
  switch (client) {
    case 'kafkajs':
      return (await import('./kafkajs-message-bus.ts')).createKafkajsMessageBus(connection, options);
    case 'platformatic':
      return (await import('./platformatic-message-bus.ts')).createPlatformaticMessageBus(connection, options);
  }
}
