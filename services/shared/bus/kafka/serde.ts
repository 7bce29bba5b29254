/** What a record carries beside key and value. Header names are ASCII. */
export type RecordHeaders = Readonly<Record<string, string | Buffer>>;

/** A whole number from 1 to 10: how many records of its key are handled before it is another key's turn. Absent: 1. */
export const priorityHeader = 'sightline-priority';

export interface EncodedRecord {
  /** Null deletes the key on a compacted topic. */
  readonly value: Buffer | null;
  readonly headers?: RecordHeaders;
}

export interface EncodedSource {
  readonly key: string;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
}

/**
 * Turns the values of one topic into bytes and back. Given by the composition, so that the bus knows nothing of Avro or of a registry.
 * `decode` throws where a record cannot be read: a retryable AppError (the registry is away) is tried again, everything else sends the
 * record to the dead letters.
 */
export interface RecordSerde<Value> {
  encode(value: Value): EncodedRecord;
  decode(record: EncodedSource): Value | Promise<Value>;
}

/** The serde of a topic by its name; throws for a topic that nobody gave one. */
export type SerdeOfTopic = (topicName: string) => RecordSerde<unknown>;
