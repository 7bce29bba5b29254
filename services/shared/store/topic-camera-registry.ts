import type { CameraRegistration } from '#schemas';
import { followTopic, type FollowedRecord, type FollowTopicOptions } from '#shared/bus/kafka/follow-topic';
import type { KafkaMessageBus } from '#shared/bus/kafka/kafka-message-bus';
import { ReadPosition } from '#shared/bus/kafka/read-position';
import type { Topic } from '#shared/bus/message-bus';
import { checkVersion, nextRegistration, unknownCamera, type CameraRegistry } from '#shared/core/camera-registry';
import { RegistryWatchers } from '#shared/core/registry-watchers';

export interface TopicCameraRegistryOptions extends Pick<
  FollowTopicOptions<CameraRegistration>,
  'serdeOf' | 'openReader' | 'clock' | 'logger'
> {
  readonly bus: Pick<KafkaMessageBus, 'publishWithOffset' | 'admin'>;
  /** Compacted, one partition: its order is the order of all changes. */
  readonly topic: Topic<CameraRegistration>;
}

export interface TopicCameraRegistry extends CameraRegistry {
  /** What has been read so far. */
  current(): readonly CameraRegistration[];
}

/**
 * The registrations of an installation on a compacted topic, read whole by everybody who needs them. A change is made on what has been read
 * to the end and is done when it has been read back; of two that are made on one version of a camera the first one on the topic holds.
 */
export function createTopicCameraRegistry(options: TopicCameraRegistryOptions): TopicCameraRegistry {
  const { bus, topic, clock, logger } = options;
  const cameras = new Map<string, CameraRegistration>();
  const watchers = new RegistryWatchers(logger);
  const stopping = new AbortController();
  const position = new ReadPosition({ admin: bus.admin, clock, topicName: topic.name });
  /** Of records that came too late; kept until their writer has looked. */
  const refused = new Set<bigint>();
  let following: Promise<void> | undefined;
  // What went over the topic may be null: it deletes.
  const deletions: Topic<CameraRegistration | null> = { name: topic.name };

  function heard({ key, value, offset, ageMs }: FollowedRecord<CameraRegistration>): void {
    // After trouble the topic is read anew; only what is new is a change.
    if (position.isNew(offset)) {
      const previous = cameras.get(key);
      // Two were made on the same version: the first one holds, for everybody who reads.
      if (value !== null && previous !== undefined && value.config_version <= previous.config_version) {
        refused.add(offset);
        position.passed(offset);
        return;
      }
      if (value === null) cameras.delete(key);
      else cameras.set(key, value);
      if (value !== null || previous !== undefined) watchers.tell({ cameraId: key, registration: value, ageMs });
    }
    position.passed(offset);
  }

  return {
    async open() {
      following ??= followTopic({ ...options, onRecord: heard }, stopping.signal);
      await position.catchUp(stopping.signal);
    },
    current: () => [...cameras.values()],
    list: () => Promise.resolve([...cameras.values()].sort((one, other) => (one.camera_id < other.camera_id ? -1 : 1))),
    get: (cameraId) => Promise.resolve(cameras.get(cameraId)),
    async put(registration, expected = {}) {
      await position.catchUp(stopping.signal);
      const key = registration.camera_id;
      const value = nextRegistration(registration, cameras.get(key), expected);
      const { offset } = await bus.publishWithOffset(topic, { key, value });
      await position.whenRead(offset, stopping.signal);
      const current = cameras.get(key);
      if (!refused.delete(offset) || current === undefined) return value;
      // Compaction keeps the newest record of a camera, which has to be the one that holds.
      await bus.publishWithOffset(topic, { key, value: current });
      checkVersion(key, current, expected);
      return this.put(registration, expected);
    },
    async remove(cameraId, expected = {}) {
      await position.catchUp(stopping.signal);
      const previous = cameras.get(cameraId);
      if (previous === undefined) throw unknownCamera(cameraId);
      checkVersion(cameraId, previous, expected);
      const { offset } = await bus.publishWithOffset(deletions, { key: cameraId, value: null });
      await position.whenRead(offset, stopping.signal);
    },
    watch: (listener) => watchers.add(listener),
    async close() {
      watchers.clear();
      stopping.abort();
      await following;
    },
  };
}
