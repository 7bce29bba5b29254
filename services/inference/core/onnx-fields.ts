import { AppError } from '#shared/core/errors';

/** One field of a protobuf message, as it stands in the file. */
export interface Field {
  readonly number: number;
  /** Of a varint field; 0 for the others. */
  readonly value: number;
  readonly bytes: Uint8Array | undefined;
  /** Key, length and content: what a writer that changes nothing passes on. */
  readonly raw: Uint8Array;
}

/** Reads the fields of a message one after another (protobuf's wire format). What is not one is SIGHTLINE_MODEL_CORRUPT. */
export function createFieldReader(bytes: Uint8Array): { next(): Field | undefined } {
  let at = 0;

  function varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw modelCorrupt('it ends in the middle of a field');
      // Multiplied, not shifted: lengths and versions pass 32 bits without turning negative. Beyond 2^53 only the order of size matters.
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw modelCorrupt('it holds a number that never ends');
  }

  function skip(length: number): Uint8Array {
    if (length > bytes.length - at) throw modelCorrupt('it ends in the middle of a field');
    at += length;
    return bytes.subarray(at - length, at);
  }

  function content(wireType: number): { readonly value: number; readonly bytes: Uint8Array | undefined } {
    switch (wireType) {
      case 0:
        return { value: varint(), bytes: undefined };
      case 1:
        skip(8);
        return { value: 0, bytes: undefined };
      case 2:
        return { value: 0, bytes: skip(varint()) };
      case 5:
        skip(4);
        return { value: 0, bytes: undefined };
      default:
        throw modelCorrupt('it is not protobuf');
    }
  }

  return {
    next() {
      if (at >= bytes.length) return undefined;
      const start = at;
      const key = varint();
      return { number: Math.floor(key / 8), ...content(key % 8), raw: bytes.subarray(start, at) };
    },
  };
}

/** All fields of a message. */
export function fieldsOf(bytes: Uint8Array): Field[] {
  const reader = createFieldReader(bytes);
  const fields: Field[] = [];
  for (let field = reader.next(); field !== undefined; field = reader.next()) fields.push(field);
  return fields;
}

/** A field in wire format: a number as varint, anything else with its length before it. */
export function encodeField(number: number, value: number | string | Uint8Array): Uint8Array<ArrayBuffer> {
  if (typeof value === 'number') return Uint8Array.from([...varintBytes(number * 8), ...varintBytes(value)]);
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return joinBytes([Uint8Array.from([...varintBytes(number * 8 + 2), ...varintBytes(bytes.length)]), bytes]);
}

export function asField(number: number, bytes: Uint8Array): Field {
  return { number, value: 0, bytes, raw: encodeField(number, bytes) };
}

/** A message with one field of it written anew, or left out where `change` gives nothing. */
export function withField(
  message: Uint8Array | undefined,
  number: number,
  change: (bytes: Uint8Array) => Uint8Array | undefined,
): Uint8Array {
  return joinBytes(
    fieldsOf(message ?? new Uint8Array()).flatMap((field) => {
      if (field.number !== number || field.bytes === undefined) return [field.raw];
      const changed = change(field.bytes);
      return changed === undefined ? [] : [encodeField(number, changed)];
    }),
  );
}

function varintBytes(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varintBytes(Math.floor(value / 128))];
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function modelCorrupt(reason: string): AppError {
  return new AppError('SIGHTLINE_MODEL_CORRUPT', `the model file is damaged or not ONNX: ${reason}`);
}
