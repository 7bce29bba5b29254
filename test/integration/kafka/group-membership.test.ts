import { randomUUID } from 'node:crypto';
import { Producer } from '@platformatic/kafka';
import { describe, expect, inject, it, onTestFinished, vi } from 'vitest';
import type { Assignment, GroupMembership, KafkaDriver } from '../../../services/shared/bus/kafka/kafka-driver.ts';
import { createKafkajsDriver } from '../../../services/shared/bus/kafka/kafkajs/kafkajs-driver.ts';
import { defaultKafkaTuning } from '../../../services/shared/bus/kafka/kafka-settings.ts';
import { createPlatformaticDriver } from '../../../services/shared/bus/kafka/platformatic/platformatic-driver.ts';
import { commitTransactionOffsets } from '../../../services/shared/bus/kafka/platformatic/transaction-offsets.ts';
import {
  createTestTopics,
  kafkaClients,
  openTestBus,
  silentLogger,
  type KafkaClientName,
} from '../../support/kafka-buses.ts';

const brokers = inject('kafkaBrokers');
const createDriver = { kafkajs: createKafkajsDriver, platformatic: createPlatformaticDriver };

interface Member {
  readonly membership: GroupMembership;
  readonly assignments: readonly Assignment[];
}

async function join(driver: KafkaDriver, group: string, topic: string): Promise<Member> {
  const assignments: Assignment[] = [];
  const events = {
    assigned: (assignment: Assignment) => assignments.push(assignment),
    records: () => undefined,
    passed: () => undefined,
    failed: () => undefined,
  };
  // The broker has to load what it knows of groups when the first one comes.
  const membership = await vi.waitFor(() => driver.joinGroup({ group, topic }, events), { timeout: 20_000 });
  onTestFinished(() => membership.close());
  return { membership, assignments };
}

async function openDriver(client: KafkaClientName, topic: string): Promise<KafkaDriver> {
  const bus = openTestBus(client, brokers);
  onTestFinished(() => bus.close());
  await createTestTopics(bus, [topic], 2);
  const driver = createDriver[client]({
    connection: { brokers, clientId: `test-${String(process.pid)}` },
    tuning: { ...defaultKafkaTuning, heartbeatIntervalMs: 200, fetchWaitMs: 50 },
    logger: silentLogger,
  });
  onTestFinished(() => driver.close());
  return driver;
}

describe.skipIf(brokers.length === 0).each(kafkaClients)('a member of a group by %s', (client) => {
  // A commit that made its client join again beside its heartbeats kept a group from coming to rest.
  it('may not store positions under an assignment that is over, and does not move the group by trying', async () => {
    const name = `membership-${randomUUID()}`;
    const driver = await openDriver(client, name);
    const first = await join(driver, name, name);
    const before = first.membership.identity;
    const second = await join(driver, name, name);
    await vi.waitFor(() => expect(first.assignments.at(-1)?.partitions).toHaveLength(1), { timeout: 20_000 });

    await expect(first.membership.commit(new Map([[0, 5n]]), before)).rejects.toMatchObject({
      code: 'SIGHTLINE_KAFKA_REBALANCED',
    });
    // Either would be refused if the group were being shared out anew.
    for (const { membership, assignments } of [first, second]) {
      const partition = assignments.at(-1)?.partitions[0] ?? -1;
      await membership.commit(new Map([[partition, 7n]]), membership.identity);
    }
    expect(await driver.admin.committed(name, name)).toEqual(
      new Map([
        [0, 7n],
        [1, 7n],
      ]),
    );
  });
});

describe.skipIf(brokers.length === 0)('positions that a transaction is moving', () => {
  // A broker that loses the end of a transaction leaves them so for ever: whoever waits has to say for what.
  it('are refused with a code of their own until it has ended', async () => {
    const name = `unstable-${randomUUID()}`;
    const { membership } = await join(await openDriver('platformatic', name), name, name);
    const producer = new Producer({
      clientId: name,
      bootstrapBrokers: [...brokers],
      idempotent: true,
      transactionalId: name,
      timeout: 30_000,
    });
    onTestFinished(() => producer.close(true));
    const transaction = await vi.waitFor(() => producer.beginTransaction({ producerId: -1n, producerEpoch: -1 }), {
      timeout: 20_000,
    });
    // Only the group's name is read of the consumer.
    await transaction.addConsumer({ groupId: name } as unknown as Parameters<typeof transaction.addConsumer>[0]);
    const { identity } = membership;
    await commitTransactionOffsets(producer, name, { topic: name, next: new Map([[0, 5n]]), identity });

    await expect(membership.committed([0])).rejects.toMatchObject({
      code: 'SIGHTLINE_KAFKA_POSITIONS_UNSTABLE',
      retryable: true,
      message: expect.stringContaining('UNSTABLE_OFFSET_COMMIT') as string,
    });
    expect(await membership.committed([1])).toEqual(new Map([[1, undefined]]));
    await transaction.commit();
    await vi.waitFor(async () => expect(await membership.committed([0])).toEqual(new Map([[0, 5n]])), {
      timeout: 10_000,
    });
  });
});
