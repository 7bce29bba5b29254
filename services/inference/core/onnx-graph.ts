import { encodeField, fieldsOf, joinBytes, type Field } from './onnx-fields.ts';

/** An operator of an ONNX graph, as far as a rewriting looks at it. Field numbers here and below are those of onnx.proto. */
export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Attributes that are whole numbers, or lists of them. */
  readonly integers: ReadonlyMap<string, readonly number[]>;
  readonly fields: readonly Field[];
}

export interface OnnxTensor {
  readonly dims: readonly number[];
  /** 1: float32, 7: int64. */
  readonly dataType: number;
  /** The values, little-endian; undefined where the file holds them in another form than as bytes. */
  readonly bytes: Uint8Array | undefined;
}

const utf8 = new TextDecoder();

export function parseNode(bytes: Uint8Array): OnnxNode {
  const fields = fieldsOf(bytes);
  const texts = (number: number): string[] =>
    fields.filter((field) => field.number === number).map((field) => utf8.decode(field.bytes));
  const attributes = fields
    .filter((field) => field.number === 5)
    .map(({ bytes: of }) => integersOf(of ?? new Uint8Array()));
  return { op: texts(4)[0] ?? '', inputs: texts(1), outputs: texts(2), integers: new Map(attributes), fields };
}

function integersOf(attribute: Uint8Array): readonly [string, readonly number[]] {
  const fields = fieldsOf(attribute);
  const name = utf8.decode(fields.find((field) => field.number === 1)?.bytes);
  return [name, [...numbersOf(fields, 3), ...numbersOf(fields, 8)]];
}

/** Whole numbers of a repeated field, which may stand one by one or packed. */
function numbersOf(fields: readonly Field[], number: number): number[] {
  return fields
    .filter((field) => field.number === number)
    .flatMap(({ bytes, value }) => (bytes === undefined ? [value] : unpacked(bytes)));
}

function unpacked(bytes: Uint8Array): number[] {
  const numbers: number[] = [];
  let [value, factor] = [0, 1];
  for (const byte of bytes) {
    value += (byte & 0x7f) * factor;
    factor *= 128;
    if (byte >= 0x80) continue;
    numbers.push(value);
    [value, factor] = [0, 1];
  }
  return numbers;
}

export function parseTensor(bytes: Uint8Array): { readonly name: string; readonly tensor: OnnxTensor } {
  const fields = fieldsOf(bytes);
  return {
    name: utf8.decode(fields.find((field) => field.number === 8)?.bytes),
    tensor: {
      dims: numbersOf(fields, 1),
      dataType: fields.find((field) => field.number === 2)?.value ?? 0,
      bytes: fields.find((field) => field.number === 9)?.bytes,
    },
  };
}

/** The name of a ValueInfo: what a graph calls an input, an output or something between. */
export function nameOf(valueInfo: Uint8Array | undefined): string {
  if (valueInfo === undefined) return '';
  return utf8.decode(fieldsOf(valueInfo).find((field) => field.number === 1)?.bytes);
}

export function encodeNode(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  integers: Readonly<Record<string, number | readonly number[]>>,
): Uint8Array {
  const attributes = Object.entries(integers).map(([name, value]) => {
    // The kinds of attribute that hold one whole number and several.
    const isOne = typeof value === 'number';
    const values = isOne ? [encodeField(3, value)] : value.map((each) => encodeField(8, each));
    return encodeField(5, joinBytes([encodeField(1, name), ...values, encodeField(20, isOne ? 2 : 7)]));
  });
  return joinBytes([
    ...inputs.map((name) => encodeField(1, name)),
    ...outputs.map((name) => encodeField(2, name)),
    encodeField(4, op),
    ...attributes,
  ]);
}

/** A tensor of float32. */
export function encodeTensor(name: string, dims: readonly number[], values: Float32Array): Uint8Array {
  return joinBytes([
    ...dims.map((size) => encodeField(1, size)),
    encodeField(2, 1),
    encodeField(8, name),
    encodeField(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  ]);
}
