import type { Schema, Type } from 'avsc';
import avsc from 'avsc/etc/browser/avsc-types.js';
import { AppError } from '#shared/core/errors';
import { compileFiniteCheck } from './finite-check.ts';

/** One Avro type, compiled: bytes to values and back. */
export interface AvroType<T> {
  /** Bytes of the value. Throws SIGHTLINE_RESULTS_RECORD_INVALID for what the schema does not hold, for NaN and for infinity. */
  encode(value: T): Buffer;
  /** Writes the value into `target` and returns where it ends, or a negative number where the room is too small. Throws like encode. */
  encodeInto(value: T, target: Buffer, offset: number): number;
  /** Reads one value; undefined where the bytes end before the value does. Throws SIGHTLINE_RESULTS_UNREADABLE for other bytes. */
  decode(bytes: Buffer, offset: number): { readonly value: T; readonly end: number } | undefined;
  /** Reads values that were written with another version of the schema. Throws SIGHTLINE_RESULTS_UNREADABLE where the two do not fit. */
  reading(writerSchema: unknown): Pick<AvroType<T>, 'decode'>;
}

/** Compiles a schema. `T` is the caller's word for what the schema says; schemas/types.ts is held to the schemas by a test. */
export function createAvroType<T>(schema: unknown): AvroType<T> {
  const type = compile(schema);
  const nonFiniteField = compileFiniteCheck(schema);

  // The library takes NaN and infinity for floats; a consumer in another language may not.
  const check = (value: T): void => {
    const field = nonFiniteField(value);
    if (field !== undefined) throw invalidRecord(`${field} is not a finite number`);
  };
  const explain = (value: T, cause: unknown): AppError => {
    const wrong: string[] = [];
    type.isValid(value, { errorHook: (path) => void wrong.push(path.join('.')) });
    return invalidRecord(
      wrong.length === 0 ? 'it does not match the schema' : `${wrong.join(', ')} does not match the schema`,
      cause,
    );
  };

  return {
    encode(value) {
      check(value);
      try {
        return type.toBuffer(value);
      } catch (error) {
        throw explain(value, error);
      }
    },
    encodeInto(value, target, offset) {
      check(value);
      try {
        return type.encode(value, target, offset);
      } catch (error) {
        throw explain(value, error);
      }
    },
    decode: createDecode<T>(type),
    reading(writerSchema) {
      const writerType = compile(writerSchema);
      try {
        return { decode: createDecode<T>(writerType, type.createResolver(writerType), type) };
      } catch (error) {
        throw new AppError('SIGHTLINE_RESULTS_UNREADABLE', 'written with a schema that this version cannot read', {
          cause: error,
        });
      }
    },
  };
}

function compile(schema: unknown): Type {
  try {
    // Own schemas, or those of a file's header: the library checks them itself, and throws.
    return avsc.Type.forSchema(schema as Schema, { omitRecordMethods: true });
  } catch (error) {
    throw new AppError('SIGHTLINE_RESULTS_UNREADABLE', 'not an Avro schema', { cause: error });
  }
}

type Resolver = ReturnType<Type['createResolver']>;

function createDecode<T>(writerType: Type, resolver?: Resolver, readerType: Type = writerType): AvroType<T>['decode'] {
  return (bytes, offset) => {
    let decoded: { value: unknown; offset: number };
    try {
      decoded = readerType.decode(bytes, offset, resolver);
    } catch (error) {
      throw new AppError('SIGHTLINE_RESULTS_UNREADABLE', 'the bytes are not what the schema says', { cause: error });
    }
    // The library read it by the schema, so it is of the type that the schema says.
    return decoded.offset < 0 ? undefined : { value: decoded.value as T, end: decoded.offset };
  };
}

function invalidRecord(reason: string, cause?: unknown): AppError {
  return new AppError('SIGHTLINE_RESULTS_RECORD_INVALID', `a record cannot be written: ${reason}`, { cause });
}
