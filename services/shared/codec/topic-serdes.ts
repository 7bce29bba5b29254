import type { FrameRecord, ProducerRecord, ResultName, SchemaName } from '#schemas';
import { priorityHeader, type EncodedSource, type RecordSerde, type SerdeOfTopic } from '#shared/bus/kafka/serde';
import type { ServiceTopics } from '#shared/bus/topics';
import type { Clock } from '#shared/core/clock';
import { AppError } from '#shared/core/errors';
import type { SampledFrame } from '#shared/core/frame';
import { fromFrameRecord, toFrameRecord } from '#shared/core/frame-record';
import { cloudEventHeaders } from './cloud-event-headers.ts';
import type { RecordTypes } from './record-codec.ts';
import { createRegisteredRecordCodec, type RegisteredRecordCodec } from './registered-record.ts';
import type { SchemaRegistry } from './schema-registry.ts';

export interface TopicSerdes {
  /** Makes sure of all schemas at the registry; from then on it may be away. */
  register(): Promise<void>;
  readonly serdeOf: SerdeOfTopic;
}

/** How each topic of the services is written and read: registry-encoded Avro, results with the headers of a CloudEvent. */
export function createTopicSerdes(
  topics: ServiceTopics,
  { registry, producer, clock }: { registry: SchemaRegistry; producer: ProducerRecord; clock: Clock },
): TopicSerdes {
  const registrations: (() => Promise<unknown>)[] = [];
  const codecOf = <Name extends SchemaName>(name: Name, topic: string, registered: (id: number) => void) => {
    const codec = createRegisteredRecordCodec(name, { registry, subject: `${topic}-value` });
    registrations.push(async () => registered(await codec.register()));
    return codec;
  };
  const schemaUrl = (id: number): string => `${registry.url}/schemas/ids/${id}`;
  const resultSerde = (name: ResultName, topic: string) => {
    let dataSchema = '';
    const codec: RegisteredRecordCodec<RecordTypes[ResultName]> = codecOf(
      name,
      topic,
      (id) => (dataSchema = schemaUrl(id)),
    );
    return serde<RecordTypes[ResultName]>({
      encode: (record) => ({ value: codec.encode(record), headers: cloudEventHeaders(name, record, dataSchema) }),
      decode: ({ value }) => codec.decode(value),
    });
  };
  const ignore = (): void => undefined;
  const frames = codecOf('frame', topics.frames.name, ignore);
  const plainSerde = (
    name: 'camera-claim' | 'ingest-presence' | 'camera-registration' | 'model-info' | 'drift-state',
    topic: string,
  ): RecordSerde<unknown> => {
    const codec: RegisteredRecordCodec<RecordTypes[typeof name]> = codecOf(name, topic, ignore);
    return serde<RecordTypes[typeof name] | null>({
      // Null deletes a key.
      encode: (record) => ({ value: record === null ? null : codec.encode(record) }),
      decode: ({ value }) => codec.decode(value),
    });
  };

  const frameSerde: RecordSerde<SampledFrame> = {
    encode(frame) {
      const value = frames.encode(toFrameRecord(frame, producer, clock));
      const { priority = 1 } = frame;
      return priority === 1 ? { value } : { value, headers: { [priorityHeader]: String(priority) } };
    },
    decode({ key, value }) {
      const record = frames.decode(value);
      const read = (frame: FrameRecord): SampledFrame => {
        if (frame.header.camera_id !== key) {
          throw new AppError('SIGHTLINE_RECORD_UNDECODABLE', 'the key of the record is not its camera');
        }
        return fromFrameRecord(frame, clock);
      };
      return record instanceof Promise ? record.then(read) : read(record);
    },
  };
  const serdes = new Map<string, RecordSerde<unknown>>([
    [topics.frames.name, serde(frameSerde)],
    [topics.detections.name, resultSerde('detection-frame', topics.detections.name)],
    [topics.cameraStatus.name, resultSerde('camera-status', topics.cameraStatus.name)],
    [topics.cameraClaims.name, plainSerde('camera-claim', topics.cameraClaims.name)],
    [topics.cameras.name, plainSerde('camera-registration', topics.cameras.name)],
    [topics.models.name, plainSerde('model-info', topics.models.name)],
    [topics.drift.name, plainSerde('drift-state', topics.drift.name)],
    [topics.ingestPresence.name, plainSerde('ingest-presence', topics.ingestPresence.name)],
  ]);
  return {
    async register() {
      for (const registration of registrations) await registration();
    },
    serdeOf(name) {
      const found = serdes.get(name);
      if (found === undefined) throw new AppError('SIGHTLINE_INTERNAL', `nobody knows how ${name} is written`);
      return found;
    },
  };
}

/** The bus holds a topic and its values together, so a serde of the topic is only given values of its type. */
function serde<Value>(typed: RecordSerde<Value>): RecordSerde<unknown> {
  return {
    encode: (value) => typed.encode(value as Value),
    decode: (record: EncodedSource) => typed.decode(record),
  };
}
