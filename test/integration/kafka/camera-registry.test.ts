import { randomUUID } from 'node:crypto';
import { describe, inject, onTestFinished } from 'vitest';
import type { CameraRegistration } from '#schemas';
import { defaultKafkaTuning } from '#shared/bus/kafka/kafka-settings';
import { createPlatformaticTopicReader } from '#shared/bus/kafka/platformatic/platformatic-topic-reader';
import type { RecordSerde } from '#shared/bus/kafka/serde';
import { ensureTopics } from '#shared/bus/kafka/topic-definition';
import type { CameraRegistry } from '#shared/core/camera-registry';
import { systemClock } from '#shared/runtime/system-clock';
import { createTopicCameraRegistry } from '#shared/store/topic-camera-registry';
import { describeCameraRegistryContract } from '../../contract/store/camera-registry-contract.ts';
import { jsonSerde, openTestBus, silentLogger } from '../../support/kafka-buses.ts';

const brokers = inject('kafkaBrokers');
const serde: RecordSerde<unknown> = {
  encode: (value) => (value === null ? { value } : jsonSerde.encode(value)),
  decode: (record) => jsonSerde.decode(record),
};

async function openRegistry(name: string): Promise<CameraRegistry> {
  const bus = openTestBus('platformatic', brokers, { serde });
  await ensureTopics(bus.admin, [
    { name, partitions: 1, replicationFactor: 1, minInSyncReplicas: 1, cleanup: 'compact' },
  ]);
  const registry = createTopicCameraRegistry({
    bus,
    topic: { name } satisfies { name: string; valueType?: CameraRegistration },
    openReader: () => createPlatformaticTopicReader({ brokers, clientId: `test-${name}` }, defaultKafkaTuning),
    serdeOf: () => serde,
    clock: systemClock,
    logger: silentLogger,
  });
  onTestFinished(async () => {
    await registry.close();
    await bus.close();
  });
  await registry.open();
  return registry;
}

describe.skipIf(brokers.length === 0)('cameras on a topic', () => {
  describeCameraRegistryContract('topic', async () => {
    const name = `cameras-${randomUUID()}`;
    return [await openRegistry(name), await openRegistry(name)];
  });
});
