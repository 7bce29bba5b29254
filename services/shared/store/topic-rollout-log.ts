import { randomUUID } from 'node:crypto';
import type { ModelInfo } from '#schemas';
import { followTopic, type FollowTopicOptions } from '#shared/bus/kafka/follow-topic';
import type { KafkaMessageBus } from '#shared/bus/kafka/kafka-message-bus';
import { ReadPosition } from '#shared/bus/kafka/read-position';
import type { Topic } from '#shared/bus/message-bus';
import { toAppError } from '#shared/core/errors';
import { fromModelInfo, toModelInfo } from '#shared/core/rollout/model-info';
import { rolloutChanged, type RolloutLog } from '#shared/core/rollout/rollout-log';
import type { RolloutStep } from '#shared/core/rollout/rollout-state';

export interface TopicRolloutLogOptions extends Pick<
  FollowTopicOptions<ModelInfo>,
  'serdeOf' | 'openReader' | 'clock' | 'logger'
> {
  readonly bus: Pick<KafkaMessageBus, 'publishWithOffset' | 'admin'>;
  /** Compacted, one partition: its order is the order of all steps. */
  readonly topic: Topic<ModelInfo>;
}

/**
 * Steps of roll-outs on a compacted topic, read whole by everybody. Each record has a key of its own, so that compaction takes none away. A
 * step is kept when it has been read back as the first one of its number.
 */
export function createTopicRolloutLog(options: TopicRolloutLogOptions): RolloutLog {
  const { bus, topic, clock, logger } = options;
  const steps: RolloutStep[] = [];
  const listeners = new Set<(step: RolloutStep) => void>();
  const stopping = new AbortController();
  const position = new ReadPosition({ admin: bus.admin, clock, topicName: topic.name });
  /** Where each step of ours, and of others, that holds has its place. */
  const places = new Map<number, bigint>();
  let following: Promise<void> | undefined;

  function heard(value: ModelInfo | null, offset: bigint): void {
    if (position.isNew(offset) && value?.revision === steps.length + 1) take(value, offset);
    position.passed(offset);
  }

  function take(value: ModelInfo, offset: bigint): void {
    let step: RolloutStep;
    try {
      step = fromModelInfo(value);
    } catch (thrown) {
      logger.warn({ reason: toAppError(thrown).message }, 'the roll-out goes on without this process');
      return;
    }
    places.set(step.revision, offset);
    steps.push(step);
    for (const listener of listeners) listener(step);
  }

  return {
    async open() {
      following ??= followTopic({ ...options, onRecord: ({ value, offset }) => heard(value, offset) }, stopping.signal);
      await position.catchUp(stopping.signal);
    },
    steps: () => steps,
    // It is told by itself.
    refresh: () => Promise.resolve(),
    async append(step) {
      await position.catchUp(stopping.signal);
      if (step.revision !== steps.length + 1) throw rolloutChanged(step.revision);
      const key = `${step.revision}:${randomUUID()}`;
      const { offset } = await bus.publishWithOffset(topic, { key, value: toModelInfo(step) });
      await position.whenRead(offset, stopping.signal);
      if (places.get(step.revision) !== offset) throw rolloutChanged(step.revision);
    },
    watch(listener) {
      const own = (step: RolloutStep): void => listener(step);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    async close() {
      listeners.clear();
      stopping.abort();
      await following;
    },
  };
}
