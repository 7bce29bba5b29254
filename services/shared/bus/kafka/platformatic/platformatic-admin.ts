import { Admin, Connection, listTransactionsV1, UserError, type BaseOptions } from '@platformatic/kafka';
import { closeAll } from '#shared/core/close-all';
import { AppError } from '#shared/core/errors';
import type { KafkaAdmin, TopicDescription } from '../kafka-driver.ts';
import { positionsOf } from '../positions-of.ts';
import { fromPlatformatic, guard } from './platformatic-errors.ts';

export interface PlatformaticAdmin extends KafkaAdmin {
  /** Waits until no transaction can change the positions any more. */
  stablePositions(
    group: string,
    topic: string,
    partitions: readonly number[],
  ): Promise<ReadonlyMap<number, bigint | undefined>>;
  /**
   * For each partition the first offset at or behind a moment, by the clock of the records; `first` and `end` are those kept and committed
   * now. Undefined where no record is so late.
   */
  committedOffsets(topic: string, at: 'first' | 'end' | number): Promise<ReadonlyMap<number, bigint | undefined>>;
  memberIds(group: string): Promise<ReadonlySet<string>>;
  /** Transactional ids with that prefix that have a transaction open, on any broker. */
  openTransactions(prefix: string): Promise<string[]>;
  close(): Promise<void>;
}

const topicResource = 2;
/** About a second, for the client tries each of these a number of times. */
const positionRetries = 5;

export function createPlatformaticAdmin(options: BaseOptions): PlatformaticAdmin {
  const admin = new Admin(options);
  // Connection troubles come back as rejections of the calls.
  admin.on('error', () => undefined);
  // Gives up soon where positions are not stable: whoever takes over looks for the open transaction again, and says what it waits for.
  const positions = new Admin({ ...options, retries: positionRetries });
  positions.on('error', () => undefined);
  const describe = async (topic: string): Promise<{ partitions: number; replicas: number } | undefined> => {
    try {
      const metadata = await admin.metadata({ topics: [topic], forceUpdate: true, retries: 0 });
      const found = metadata.topics.get(topic);
      return found === undefined
        ? undefined
        : { partitions: found.partitionsCount, replicas: found.partitions[0]?.replicas.length ?? 0 };
    } catch (error) {
      // The client says of an unknown topic that the call was wrong, and keeps the broker's code to itself.
      if (error instanceof UserError) return undefined;
      throw error;
    }
  };
  const partitionCount = (topic: string): Promise<number> =>
    guard(`look up ${topic}`, async () => {
      const found = await describe(topic);
      if (found === undefined) throw new AppError('SIGHTLINE_KAFKA_TOPIC_MISSING', `no topic ${topic}`);
      return found.partitions;
    });
  const listPositions = (
    group: string,
    topic: string,
    partitions: readonly number[],
    requireStable: boolean,
  ): Promise<ReadonlyMap<number, bigint | undefined>> =>
    guard(`read positions of ${group}`, async () => {
      const groups = await (requireStable ? positions : admin).listConsumerGroupOffsets({
        groups: [{ groupId: group, topics: [{ name: topic, partitionIndexes: [...partitions] }] }],
        requireStable,
      });
      const answer = groups[0]?.topics.find((entry) => entry.name === topic)?.partitions ?? [];
      const found = answer.map(
        ({ partitionIndex, committedOffset }) =>
          [partitionIndex, committedOffset < 0n ? undefined : committedOffset] as const,
      );
      return positionsOf(partitions, new Map(found));
    });
  return {
    partitionCount,
    describeTopic: (topic) =>
      guard(`describe ${topic}`, async (): Promise<TopicDescription | undefined> => {
        const found = await describe(topic);
        if (found === undefined) return undefined;
        const [resource] = await admin.describeConfigs({
          resources: [{ resourceType: topicResource, resourceName: topic }],
        });
        const config: Record<string, string> = {};
        for (const { name, value } of resource?.configs ?? []) if (typeof value === 'string') config[name] = value;
        return { partitions: found.partitions, replicationFactor: found.replicas, config };
      }),
    createTopic: (topic, settings) =>
      guard(`create ${topic}`, async () => {
        try {
          await admin.createTopics({
            topics: [topic],
            partitions: settings.partitions,
            replicas: settings.replicationFactor,
            configs: Object.entries(settings.config).map(([name, value]) => ({ name, value })),
          });
          return 'created';
        } catch (error) {
          if (hasApiId(error, 'TOPIC_ALREADY_EXISTS')) return 'exists';
          throw error;
        }
      }),
    offsets: (topic) =>
      guard(`list offsets of ${topic}`, async () => {
        const count = await partitionCount(topic);
        const list = async (timestamp: bigint): Promise<Map<number, bigint>> => {
          const partitions = Array.from({ length: count }, (_, partitionIndex) => ({ partitionIndex, timestamp }));
          const listed = await admin.listOffsets({ topics: [{ name: topic, partitions }] });
          return new Map(listed[0]?.partitions.map(({ partitionIndex, offset }) => [partitionIndex, offset]));
        };
        const [first, end] = [await list(-2n), await list(-1n)];
        return new Map(
          [...end].map(([partition, offset]) => [partition, { first: first.get(partition) ?? 0n, end: offset }]),
        );
      }),
    committed: async (group, topic) => {
      const count = await partitionCount(topic);
      return listPositions(
        group,
        topic,
        Array.from({ length: count }, (_, index) => index),
        false,
      );
    },
    stablePositions: (group, topic, partitions) => listPositions(group, topic, partitions, true),
    committedOffsets: (topic, at) =>
      guard(`list offsets of ${topic}`, async () => {
        const count = await partitionCount(topic);
        const timestamp = at === 'first' ? -2n : at === 'end' ? -1n : BigInt(at);
        const partitions = Array.from({ length: count }, (_, partitionIndex) => ({ partitionIndex, timestamp }));
        // Level 1: up to the first open transaction, behind which a committed reader is not let.
        const listed = await admin.listOffsets({ topics: [{ name: topic, partitions }], isolationLevel: 1 });
        return new Map(
          listed[0]?.partitions.map(({ partitionIndex, offset }) => [partitionIndex, offset < 0n ? undefined : offset]),
        );
      }),
    memberIds: (group) =>
      guard(`describe ${group}`, async () => {
        const groups = await admin.describeGroups({ groups: [group] });
        return new Set(groups.get(group)?.members.keys());
      }),
    openTransactions: (prefix) =>
      guard('list transactions', async () => {
        const { brokers } = await admin.metadata({ topics: [], forceUpdate: true });
        const found: string[] = [];
        for (const { host, port } of brokers.values()) {
          // The client has no call for this; its request is public, and needs a connection of its own.
          const connection = new Connection(options.clientId, options);
          connection.on('error', () => undefined); // comes back as a rejection too
          try {
            await connection.connect(host, port);
            const { transactionStates } = await listTransactionsV1.api.async(connection, ['Ongoing'], [], -1n, null);
            found.push(
              ...transactionStates.map((state) => state.transactionalId).filter((id) => id.startsWith(prefix)),
            );
          } catch (error) {
            // A broker that is gone has handed its transactions to the others. One that only we cannot reach makes readers wait for the
            // time-out of what is open there; positions are read as stable in any case.
            if (fromPlatformatic('list transactions', error).code !== 'SIGHTLINE_KAFKA_UNREACHABLE') throw error;
          } finally {
            await connection.close();
          }
        }
        return found;
      }),
    close: () => guard('close the admin client', () => closeAll([() => admin.close(), () => positions.close()])),
  };
}

function hasApiId(error: unknown, id: string): boolean {
  const finder = error as { findBy?: (property: string, value: unknown) => unknown };
  return typeof finder.findBy === 'function' && Boolean(finder.findBy('apiId', id));
}
