import { schemas, type SchemaName } from '#schemas';
import { AppError } from '#shared/core/errors';
import type { AvroType } from './avro-type.ts';
import { recordTypes, type RecordTypes } from './record-codec.ts';
import type { SchemaRegistry } from './schema-registry.ts';

/** Records as stock consumers of a schema registry read them: a zero byte, the id of the schema as 4 bytes, the Avro body. */
export interface RegisteredRecordCodec<T> {
  /** Makes sure of the schema at the registry; encode() works from then on, also while the registry is away. */
  register(): Promise<number>;
  /** Throws SIGHTLINE_RESULTS_RECORD_INVALID for what the schema does not hold. Call after register(). */
  encode(value: T): Buffer;
  /**
   * Reads a record that was written with any version of the schema; a promise only where that version has to be asked for first. Throws
   * SIGHTLINE_RECORD_UNDECODABLE for other bytes, and what the registry throws: retryable where it is away.
   */
  decode(bytes: Buffer | null): T | Promise<T>;
}

const magicByte = 0;
const prefixBytes = 5;
/** What our topics take at most; the limit of the broker's default is about the same. */
const defaultMaxRecordBytes = 1_000_000;
/** Versions of one schema; more than a handful means that ids are made up. */
const maxKnownVersions = 256;

export function createRegisteredRecordCodec<Name extends SchemaName>(
  name: Name,
  options: { readonly registry: SchemaRegistry; readonly subject: string; readonly maxRecordBytes?: number },
): RegisteredRecordCodec<RecordTypes[Name]> {
  type Value = RecordTypes[Name];
  const { registry, subject, maxRecordBytes = defaultMaxRecordBytes } = options;
  // One entry of a table whose rows belong together by their name.
  const type = recordTypes[name] as AvroType<Value>;
  const { schema } = schemas[name];
  const writers = new Map<number, Pick<AvroType<Value>, 'decode'>>();
  const asked = new Map<number, Promise<Pick<AvroType<Value>, 'decode'>>>();
  let ownId: number | undefined;
  let scratch = Buffer.allocUnsafe(16 * 1024);

  async function askFor(id: number): Promise<Pick<AvroType<Value>, 'decode'>> {
    try {
      const written = await registry.schemaById(id);
      const isOwn = JSON.stringify(written) === JSON.stringify(schema);
      const writer = isOwn ? type : type.reading(written);
      if (writers.size < maxKnownVersions) writers.set(id, writer);
      return writer;
    } catch (error) {
      if (error instanceof AppError && error.code === 'SIGHTLINE_RESULTS_UNREADABLE') {
        throw undecodable(`the schema ${id} is none that ${schemas[name].fullName} can be read from`, error);
      }
      throw error;
    } finally {
      asked.delete(id);
    }
  }

  function read(writer: Pick<AvroType<Value>, 'decode'>, bytes: Buffer): Value {
    let decoded;
    try {
      decoded = writer.decode(bytes, prefixBytes);
    } catch (error) {
      throw undecodable('the bytes are not what the schema says', error);
    }
    if (decoded === undefined) throw undecodable('the record ends too early');
    if (decoded.end !== bytes.length) throw undecodable(`${bytes.length - decoded.end} bytes stand behind the record`);
    return decoded.value;
  }

  return {
    async register() {
      const id = await registry.register(subject, schema);
      ownId = id;
      writers.set(id, type);
      return id;
    },
    encode(value) {
      if (ownId === undefined) throw new AppError('SIGHTLINE_INTERNAL', `${subject} was not registered`);
      let end = type.encodeInto(value, scratch, prefixBytes);
      if (end < 0) {
        scratch = Buffer.allocUnsafe(2 * (scratch.length - end));
        end = type.encodeInto(value, scratch, prefixBytes);
      }
      scratch[0] = magicByte;
      scratch.writeInt32BE(ownId, 1);
      return Buffer.from(scratch.subarray(0, end));
    },
    decode(bytes) {
      if (bytes === null) throw undecodable('the record has no value');
      if (bytes.length > maxRecordBytes) {
        throw undecodable(`the record has ${bytes.length} bytes, at most ${maxRecordBytes} are read`);
      }
      if (bytes.length < prefixBytes || bytes[0] !== magicByte) {
        throw undecodable('the record does not begin with a zero byte and the id of a schema');
      }
      const id = bytes.readInt32BE(1);
      const known = writers.get(id);
      if (known !== undefined) return read(known, bytes);
      let writer = asked.get(id);
      if (writer === undefined) asked.set(id, (writer = askFor(id)));
      return writer.then((found) => read(found, bytes));
    },
  };
}

function undecodable(reason: string, cause?: unknown): AppError {
  return new AppError('SIGHTLINE_RECORD_UNDECODABLE', reason, cause === undefined ? {} : { cause });
}
