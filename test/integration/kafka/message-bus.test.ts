import { describe, inject } from 'vitest';
import { describeMessageBusContract } from '../../contract/bus/message-bus-contract.ts';
import { createTestTopics, kafkaClients, openTestBus } from '../../support/kafka-buses.ts';

const brokers = inject('kafkaBrokers');

describe.skipIf(brokers.length === 0)('message bus on Kafka', () => {
  for (const client of kafkaClients) {
    describeMessageBusContract(client, () => openTestBus(client, brokers), {
      createTopic: async (name) => {
        const bus = openTestBus(client, brokers);
        try {
          await createTestTopics(bus, [name]);
        } finally {
          await bus.close();
        }
      },
    });
  }
});
