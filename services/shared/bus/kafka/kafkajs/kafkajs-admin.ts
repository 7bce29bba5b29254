import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import type { KafkaAdmin, TopicDescription } from '../kafka-driver.ts';
import { AppError } from '#shared/core/errors';
import { fromKafkajs } from './kafkajs-errors.ts';

export interface ClosableAdmin extends KafkaAdmin {
  close(): Promise<void>;
}

export function createKafkajsAdmin(kafka: Kafka): ClosableAdmin {
  let connecting: Promise<Admin> | undefined;
  /** Connected at the first need; a failed attempt is forgotten, so that the next call tries again. */
  const use = async <Result>(action: string, run: (admin: Admin) => Promise<Result>): Promise<Result> => {
    connecting ??= connect();
    try {
      return await run(await connecting);
    } catch (error) {
      throw fromKafkajs(action, error);
    }
  };
  const connect = async (): Promise<Admin> => {
    const admin = kafka.admin();
    try {
      await admin.connect();
      return admin;
    } catch (error) {
      connecting = undefined;
      throw error;
    }
  };
  const describe = async (
    admin: Admin,
    topic: string,
  ): Promise<{ partitions: number; replicas: number } | undefined> => {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      const found = topics.find((candidate) => candidate.name === topic);
      return found === undefined
        ? undefined
        : { partitions: found.partitions.length, replicas: found.partitions[0]?.replicas.length ?? 0 };
    } catch (error) {
      if (fromKafkajs('', error).code === 'SIGHTLINE_KAFKA_TOPIC_MISSING') return undefined;
      throw error;
    }
  };
  return {
    describeTopic: (topic) =>
      use(`describe ${topic}`, async (admin): Promise<TopicDescription | undefined> => {
        const found = await describe(admin, topic);
        if (found === undefined) return undefined;
        const { resources } = await admin.describeConfigs({
          includeSynonyms: false,
          resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
        });
        const config: Record<string, string> = {};
        for (const entry of resources[0]?.configEntries ?? []) config[entry.configName] = entry.configValue;
        return { partitions: found.partitions, replicationFactor: found.replicas, config };
      }),
    partitionCount: (topic) =>
      use(`look up ${topic}`, async (admin) => {
        const found = await describe(admin, topic);
        if (found === undefined) throw new AppError('SIGHTLINE_KAFKA_TOPIC_MISSING', `no topic ${topic}`);
        return found.partitions;
      }),
    createTopic: (topic, settings) =>
      use(`create ${topic}`, async (admin) => {
        const created = await admin.createTopics({
          waitForLeaders: false,
          topics: [
            {
              topic,
              numPartitions: settings.partitions,
              replicationFactor: settings.replicationFactor,
              configEntries: Object.entries(settings.config).map(([name, value]) => ({ name, value })),
            },
          ],
        });
        return created ? 'created' : 'exists';
      }),
    offsets: (topic) =>
      use(`list offsets of ${topic}`, async (admin) => {
        const listed = known(topic, await admin.fetchTopicOffsets(topic));
        return new Map(
          listed.map(({ partition, low, high }) => [partition, { first: BigInt(low), end: BigInt(high) }]),
        );
      }),
    committed: (group, topic) =>
      use(`read positions of ${group}`, async (admin) => {
        const groups = await admin.fetchOffsets({ groupId: group, topics: [topic] });
        const partitions = known(topic, groups.find((entry) => entry.topic === topic)?.partitions ?? []);
        return new Map(
          partitions.map(({ partition, offset }) => [partition, BigInt(offset) < 0n ? undefined : BigInt(offset)]),
        );
      }),
    close: async () => {
      const admin = await connecting?.catch(() => undefined);
      await admin?.disconnect();
    },
  };
}

/**
 * The answer for each partition of a topic. Just after a broker came back the client may know of no partition, asks for none, and gives an empty
 * answer (seen in half of the restarts). Taken as it is, a group had no position and did all records again, and a topic had nothing to read.
 */
function known<Entry>(topic: string, partitions: readonly Entry[]): readonly Entry[] {
  if (partitions.length > 0) return partitions;
  throw new AppError('SIGHTLINE_KAFKA_FAILED', `the client knows of no partition of ${topic}`, { retryable: true });
}
