import { AppError } from '#shared/core/errors';
import type { KafkaAdmin, TopicDescription } from './kafka-driver.ts';

/** A topic as we want it. What the broker holds beyond this is the operator's. */
export interface TopicDefinition {
  readonly name: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  /** In-sync replicas that have to hold a record before it is acknowledged. */
  readonly minInSyncReplicas: number;
  /** `delete`: records go by age. `compact`: the newest of each key stays. Both: it stays until it is too old. */
  readonly cleanup: 'delete' | 'compact' | 'compact,delete';
  readonly retentionMs?: number;
  readonly maxRecordBytes?: number;
  /** Further settings by the broker's names. */
  readonly config?: Readonly<Record<string, string>>;
}

export interface EnsuredTopic {
  readonly name: string;
  readonly outcome: 'created' | 'present';
}

/**
 * Creates the topics that are missing and holds the others against their definitions. Changes nothing that exists: another number of
 * partitions would move cameras between them and break the order of their records, and settings may be an operator's decision.
 * Throws SIGHTLINE_KAFKA_TOPIC_MISMATCH with all differences at once. May be run by several processes at the same time, and again.
 */
export async function ensureTopics(
  admin: KafkaAdmin,
  definitions: readonly TopicDefinition[],
): Promise<EnsuredTopic[]> {
  const ensured: EnsuredTopic[] = [];
  const differences: string[] = [];
  for (const definition of definitions) {
    const config = configOf(definition);
    let found = await admin.describeTopic(definition.name);
    let outcome: EnsuredTopic['outcome'] = 'present';
    if (found === undefined) {
      const { partitions, replicationFactor } = definition;
      const result = await admin.createTopic(definition.name, { partitions, replicationFactor, config });
      if (result === 'created') outcome = 'created';
      found = await visible(admin, definition.name);
    }
    differences.push(...differencesOf(definition, config, found));
    ensured.push({ name: definition.name, outcome });
  }
  if (differences.length > 0) {
    throw new AppError('SIGHTLINE_KAFKA_TOPIC_MISMATCH', differences.join('; '));
  }
  return ensured;
}

/** The controller answers before every broker knows of the topic. */
async function visible(admin: KafkaAdmin, name: string): Promise<TopicDescription> {
  const deadlineMs = performance.now() + 10_000;
  for (;;) {
    const found = await admin.describeTopic(name);
    if (found !== undefined) return found;
    if (performance.now() > deadlineMs)
      throw new AppError('SIGHTLINE_KAFKA_TOPIC_MISSING', `${name} was created but is not to be seen`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function configOf(definition: TopicDefinition): Record<string, string> {
  return {
    'cleanup.policy': definition.cleanup,
    'min.insync.replicas': String(definition.minInSyncReplicas),
    ...(definition.retentionMs === undefined ? {} : { 'retention.ms': String(definition.retentionMs) }),
    ...(definition.maxRecordBytes === undefined ? {} : { 'max.message.bytes': String(definition.maxRecordBytes) }),
    ...definition.config,
  };
}

function differencesOf(definition: TopicDefinition, config: Record<string, string>, found: TopicDescription): string[] {
  const differences: string[] = [];
  const compare = (setting: string, wanted: string | number, is: string | number | undefined): void => {
    if (String(wanted) !== String(is)) {
      differences.push(`${definition.name}: ${setting} is ${String(is)}, wanted ${String(wanted)}`);
    }
  };
  compare('partitions', definition.partitions, found.partitions);
  compare('replication factor', definition.replicationFactor, found.replicationFactor);
  for (const [setting, wanted] of Object.entries(config)) compare(setting, wanted, found.config[setting]);
  return differences;
}
