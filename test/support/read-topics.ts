import type { CameraStatus, DetectionFrame } from '../../schemas/index.ts';
import type { RecordHeaders } from '../../services/shared/bus/kafka/serde.ts';
import { createRegisteredRecordCodec } from '../../services/shared/codec/registered-record.ts';
import { createSchemaRegistry } from '../../services/shared/codec/schema-registry.ts';
import { until } from './e2e-run.ts';
import { openTestBus, type KafkaClientName } from './kafka-buses.ts';

export interface TopicRecord<Value> {
  readonly key: string;
  readonly value: Value;
  readonly headers: Readonly<Record<string, string>>;
}

export interface TopicRecords {
  readonly detections: readonly TopicRecord<DetectionFrame>[];
  readonly statuses: readonly TopicRecord<CameraStatus>[];
}

/** Makes a reader of the results under a prefix; it asks the registry now and needs it no more, unless records name ids of others. */
export async function createTopicsReader(registryUrl: string, prefix: string) {
  const registry = createSchemaRegistry({ url: registryUrl });
  const detections = createRegisteredRecordCodec('detection-frame', {
    registry,
    subject: `${prefix}.detections-value`,
  });
  const statuses = createRegisteredRecordCodec('camera-status', { registry, subject: `${prefix}.camera-status-value` });
  await Promise.all([detections.register(), statuses.register()]);

  /** Everything on both topics, in the order of each partition. */
  return async (client: KafkaClientName, brokers: readonly string[]): Promise<TopicRecords> => ({
    detections: await readTopic(client, brokers, `${prefix}.detections`, (bytes) => detections.decode(bytes)),
    statuses: await readTopic(client, brokers, `${prefix}.camera-status`, (bytes) => statuses.decode(bytes)),
  });
}

async function readTopic<Value>(
  client: KafkaClientName,
  brokers: readonly string[],
  topic: string,
  decode: (bytes: Buffer | null) => Value | Promise<Value>,
): Promise<TopicRecord<Value>[]> {
  const records: TopicRecord<Value>[] = [];
  const bus = openTestBus(client, brokers, {
    serde: {
      encode: () => ({ value: null }),
      decode: async ({ key, value, headers }) => ({ key, value: await decode(value), headers: textOf(headers) }),
    },
  });
  try {
    const offsets = await bus.admin.offsets(topic);
    const total = [...offsets.values()].reduce((sum, { first, end }) => sum + Number(end - first), 0);
    await bus.consume<TopicRecord<Value>>(
      { name: topic },
      { group: `read-${String(process.pid)}-${String(performance.now())}`, maxInFlight: 1 },
      (message) => {
        records.push(message.value);
        return Promise.resolve();
      },
    );
    await until(
      () => Promise.resolve(records.length),
      (count) => count >= total,
    );
    return records;
  } finally {
    await bus.close();
  }
}

function textOf(headers: RecordHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.toString()]));
}
