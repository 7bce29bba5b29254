import { Consumer, Producer, type BaseOptions, type MessageToProduce, type ProduceResult } from '@platformatic/kafka';
import type { Logger } from '#shared/core/logger';
import type {
  GroupEvents,
  GroupMembership,
  JoinGroupOptions,
  KafkaDriver,
  KafkaProducer,
  KafkaTransactions,
  OutgoingRecord,
  TransactionOffsets,
} from '../kafka-driver.ts';
import type { KafkaConnectionSettings, KafkaTuning } from '../kafka-settings.ts';
import { FetchLoop } from './fetch-loop.ts';
import { createPlatformaticAdmin, type PlatformaticAdmin } from './platformatic-admin.ts';
import { fromPlatformatic, guard } from './platformatic-errors.ts';
import { PlatformaticMembership } from './platformatic-membership.ts';
import { baseOptions, retriesWithin, retryDelay } from './platformatic-options.ts';
import { commitTransactionOffsets } from './transaction-offsets.ts';

export interface PlatformaticDriverOptions {
  readonly connection: KafkaConnectionSettings;
  readonly tuning: KafkaTuning;
  readonly logger: Logger;
}

type RawProducer = Producer<string, Buffer | null, string, string | Buffer>;
type RawTransaction = Awaited<ReturnType<RawProducer['beginTransaction']>>;

const abortWaitMs = 500;

const serializers = {
  key: (key?: string) => (key === undefined ? undefined : Buffer.from(key, 'utf8')),
  value: (value?: Buffer | null) => value ?? undefined,
  headerKey: (name?: string) => (name === undefined ? undefined : Buffer.from(name, 'utf8')),
  headerValue: (value?: string | Buffer) => (typeof value === 'string' ? Buffer.from(value, 'utf8') : value),
};

export function createPlatformaticDriver(options: PlatformaticDriverOptions): KafkaDriver {
  const { connection, tuning, logger } = options;
  const base = baseOptions(connection, tuning);
  const admin = createPlatformaticAdmin(base);
  return {
    name: 'platformatic',
    transactionScope: 'member',
    admin,
    openProducer: () => openProducer(base, tuning),
    openTransactions: (transactionalId) => openTransactions(base, tuning, transactionalId),
    endOrphanedTransactions: async (group, prefix) => {
      const open = await admin.openTransactions(prefix);
      if (open.length === 0) return;
      const members = await admin.memberIds(group);
      for (const transactionalId of open) {
        if (members.has(transactionalId.slice(prefix.length))) continue;
        logger.info({ transactionalId, group }, 'the transaction of a lost member is ended');
        const transactions = await openTransactions(base, tuning, transactionalId);
        await transactions.close();
      }
    },
    joinGroup: (join, events) => joinGroup(base, tuning, admin, join, events),
    close: () => admin.close(),
  };
}

async function openProducer(base: BaseOptions, tuning: KafkaTuning): Promise<KafkaProducer> {
  const producer: RawProducer = new Producer({
    ...base,
    serializers,
    idempotent: true,
    retries: retriesWithin(tuning.publishTimeoutMs),
  });
  producer.on('error', () => undefined); // connection troubles come back as rejections of the calls
  await guard('connect to Kafka', () => initialise(producer));
  return {
    send: (records) =>
      guard('write to Kafka', async () =>
        offsetsOf(records, await producer.send({ messages: records.map(messageOf) })),
      ),
    close: () => guard('close a producer', async () => producer.close(true)),
  };
}

async function initialise(producer: RawProducer): Promise<void> {
  try {
    await producer.initIdempotentProducer({ producerId: -1n, producerEpoch: -1 });
  } catch (error) {
    await producer.close(true);
    throw error;
  }
}

async function openTransactions(
  base: BaseOptions,
  tuning: KafkaTuning,
  transactionalId: string,
): Promise<KafkaTransactions> {
  const producer: RawProducer = new Producer({
    ...base,
    serializers,
    idempotent: true,
    transactionalId,
    // The client takes one figure for its requests and for the time that the broker leaves a transaction open.
    timeout: tuning.transactionTimeoutMs,
    retries: 20,
    retryDelay: retryDelay(tuning.retryInitialMs, 200),
  });
  producer.on('error', () => undefined); // connection troubles come back as rejections of the calls
  await guard('open transactions', async () => {
    try {
      // Taking the id over fences whoever had it and ends what they left. Without -1 the broker takes us for a former owner that comes back.
      const first = await producer.beginTransaction({ producerId: -1n, producerEpoch: -1 });
      await first.cancel();
    } catch (error) {
      await producer.close(true);
      throw error;
    }
  });
  return {
    run: (records, offsets) =>
      guard('commit a transaction', () => runTransaction(producer, transactionalId, records, offsets)),
    close: () => guard('close a producer', async () => producer.close(true)),
  };
}

async function runTransaction(
  producer: RawProducer,
  transactionalId: string,
  records: readonly OutgoingRecord[],
  offsets: TransactionOffsets,
): Promise<readonly bigint[]> {
  const transaction: RawTransaction = await producer.beginTransaction({});
  let result: ProduceResult;
  try {
    // One send: the client folds concurrent ones into one request and would forget the partitions of the second.
    result = records.length === 0 ? {} : await transaction.send({ messages: records.map(messageOf) });
    // Only the group's name is read of the consumer.
    await transaction.addConsumer({ groupId: offsets.identity.group } as unknown as Parameters<
      RawTransaction['addConsumer']
    >[0]);
    await commitTransactionOffsets(producer, transactionalId, offsets);
  } catch (error) {
    // Left open it would hold up the readers of its partitions until the broker gives it up; this process may not be there to end it.
    await Promise.race([
      transaction.abort().catch(() => undefined),
      new Promise((resolve) => setTimeout(resolve, abortWaitMs)),
    ]);
    throw error;
  }
  // No abort from here on: the outcome of a failed commit is unknown, and the next one to open the id finds out.
  await transaction.commit();
  return offsetsOf(records, result);
}

function messageOf({
  topic,
  partition,
  key,
  value,
  headers,
}: OutgoingRecord): MessageToProduce<string, Buffer | null, string, string | Buffer> {
  return { topic, partition, key, value, headers: { ...headers } };
}

/** The records of one partition stand side by side from the partition's base offset on. */
function offsetsOf(records: readonly OutgoingRecord[], result: ProduceResult): bigint[] {
  const next = new Map(result.offsets?.map((part) => [`${part.topic}/${String(part.partition)}`, part.offset]));
  return records.map(({ topic, partition }) => {
    const id = `${topic}/${String(partition)}`;
    const offset = next.get(id) ?? -1n;
    next.set(id, offset + 1n);
    return offset;
  });
}

async function joinGroup(
  base: BaseOptions,
  tuning: KafkaTuning,
  admin: PlatformaticAdmin,
  join: JoinGroupOptions,
  events: GroupEvents,
): Promise<GroupMembership> {
  const { group, topic } = join;
  const consumer = new Consumer({
    ...base,
    groupId: group,
    autocommit: false,
    sessionTimeout: tuning.sessionTimeoutMs,
    heartbeatInterval: tuning.heartbeatIntervalMs,
    rebalanceTimeout: tuning.rebalanceTimeoutMs,
    heartbeatStallTimeout: tuning.sessionTimeoutMs + tuning.rebalanceTimeoutMs,
    isolationLevel: 1,
  });
  let isJoined = false;
  const fail = (error: unknown): void => {
    if (membership.isClosed || !isJoined) return;
    void membership.close().catch(() => undefined); // the failure is what is reported
    events.failed(fromPlatformatic(`consumer of ${group} on ${topic}`, error));
  };
  // Never joins: a fetch that waits for records would hold up the heartbeats behind it on the same connection.
  const fetcher = new Consumer({ ...base, groupId: group, autocommit: false });
  fetcher.on('error', () => undefined); // connection troubles come back as rejections of the calls
  fetcher.topics.track(topic);
  const fetchLoop = new FetchLoop(fetcher, topic, tuning, {
    records: (fetched) => events.records(fetched),
    firstOffset: async (partition) => (await admin.offsets(topic)).get(partition)?.first ?? 0n,
    failed: fail,
  });
  const membership: PlatformaticMembership = new PlatformaticMembership({
    ...{ base, join, admin, fetcher, fetchLoop },
    member: consumer,
  });
  consumer.on('consumer:group:join', (payload) => {
    if (membership.isClosed) return;
    const { memberId } = payload;
    const generation = payload.generationId ?? -1;
    const partitions = payload.assignments?.find((entry) => entry.topic === topic)?.partitions ?? [];
    membership.joined({ group, generation, memberId });
    fetchLoop.retain(partitions);
    isJoined = true;
    events.assigned({ partitions, memberId, generation }, membership);
  });
  // A rejoin that failed for good: no more heartbeats will be sent.
  consumer.on('error', fail);
  consumer.topics.track(topic);
  try {
    await guard(`join ${group}`, async () => consumer.joinGroup({}));
  } catch (error) {
    await membership.close().catch(() => undefined); // the first error is the one to tell
    throw error;
  }
  return membership;
}
