import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * A detector of the YOLOX output form that needs no training: whatever it is shown, it sees the same boxes. Made here, byte by byte, after the
 * ONNX protobuf definition (onnx/onnx.proto), so that the pipeline can be tested whole where no weights are at hand.
 */
export interface TinyModelOptions {
  readonly name?: string;
  readonly labels?: readonly string[];
  /** Boxes as fractions of the input, at most one a cell of the 8-pixel grid. */
  readonly boxes?: readonly TinyBox[];
  /** Makes it slow: products of 1024x1024 matrices that each frame costs. Default 0. */
  readonly burden?: number;
}

export interface TinyBox {
  readonly classId: number;
  readonly confidence: number;
  /** Centre and size as fractions of the model's input. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const inputSizePx = 64;
const stridesPx = [8, 16, 32] as const;
const rows = stridesPx.reduce((sum, stride) => sum + (inputSizePx / stride) ** 2, 0);

/** Writes NAME.onnx and NAME.yaml to `directory`; gives the manifest's path. */
export async function writeTinyModel(directory: string, options: TinyModelOptions = {}): Promise<string> {
  const { name = 'tiny', labels = ['person', 'car'], burden = 0 } = options;
  const boxes = options.boxes ?? [{ classId: 0, confidence: 0.9, x: 0.5, y: 0.25, width: 0.25, height: 0.25 }];
  const bytes = encodeTinyModel(labels.length, boxes, burden);
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, `${name}.onnx`), bytes);
  const manifest = path.join(directory, `${name}.yaml`);
  await writeFile(manifest, manifestText(name, labels, createHash('sha256').update(bytes).digest('hex')));
  return manifest;
}

function manifestText(name: string, labels: readonly string[], sha256: string): string {
  return `schema_version: 1
name: ${name}
version: '1'
file: ${name}.onnx
sha256: ${sha256}
task: detection
family: yolox
input:
  name: images
  width_px: ${inputSizePx}
  height_px: ${inputSizePx}
  layout: NCHW
  dtype: float32
  channel_order: BGR
  mean: [0, 0, 0]
  std: [1, 1, 1]
  resize: { mode: letterbox, anchor: top_left, pad_value: 114 }
outputs: { strides: [8, 16, 32] }
labels: [${labels.join(', ')}]
thresholds: { score: 0.3, nms_iou: 0.45 }
precision: FP32
licence: Apache-2.0
source: made by test/support/tiny-model.ts
`;
}

/** The rows that a YOLOX head would give for these boxes: offsets to the cell, logarithms of the size, objectness, class scores. */
function outputRows(classes: number, boxes: readonly TinyBox[]): Float32Array {
  const width = 5 + classes;
  const values = new Float32Array(rows * width);
  for (const box of boxes) {
    const [centreX, centreY] = [(box.x * inputSizePx) / stridesPx[0], (box.y * inputSizePx) / stridesPx[0]];
    const [column, line] = [Math.floor(centreX), Math.floor(centreY)];
    const offset = (line * (inputSizePx / stridesPx[0]) + column) * width;
    const size = [(box.width * inputSizePx) / stridesPx[0], (box.height * inputSizePx) / stridesPx[0]] as const;
    values.set([centreX - column, centreY - line, Math.log(size[0]), Math.log(size[1]), box.confidence], offset);
    values[offset + 5 + box.classId] = 1;
  }
  return values;
}

function encodeTinyModel(classes: number, boxes: readonly TinyBox[], burden: number): Buffer {
  const outputShape = [1, rows, 5 + classes];
  // mean of the input (so that it is really read), times zero, plus the constant rows.
  const nodes = [
    node('ReduceMean', ['images'], 'mean_of_planes', [integers('axes', [2, 3]), integer('keepdims', 0)]),
    node('ReduceMean', ['mean_of_planes'], 'mean', [integers('axes', [1]), integer('keepdims', 1)]),
    node('Mul', ['mean', 'zero'], 'nothing', []),
    ...burdenNodes(burden),
    node('Add', ['rows', burden === 0 ? 'nothing' : 'nothing_again'], 'output', []),
  ];
  const graph = Buffer.concat([
    ...nodes.map((encoded) => field(1, encoded)),
    field(2, Buffer.from('tiny')),
    field(5, tensor('zero', [1], new Float32Array([0]))),
    ...(burden === 0 ? [] : [field(5, integerTensor('burden_shape', [burdenSize, burdenSize]))]),
    field(5, tensor('rows', outputShape, outputRows(classes, boxes))),
    field(11, valueInfo('images', [1, 3, inputSizePx, inputSizePx])),
    field(12, valueInfo('output', outputShape)),
  ]);
  const opset = varintField(2, 11);
  return Buffer.concat([varintField(1, 7), field(2, Buffer.from('sightline tests')), field(7, graph), field(8, opset)]);
}

export interface ConstantOutput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** Given as integers. */
  readonly isInteger?: boolean;
}

/**
 * A model of any output form that says the same of every picture: for families whose weights are not at hand. `sizeInput` is the second
 * input of the RT-DETR kind.
 */
export function encodeConstantModel(
  outputs: readonly ConstantOutput[],
  input: { readonly shape: readonly number[]; readonly sizeInput?: string },
  metadata: Readonly<Record<string, string>> = {},
): Buffer {
  const sizes = input.sizeInput === undefined ? [] : [input.sizeInput];
  const nodes = [
    node('ReduceMean', ['images'], 'mean', [integers('axes', [0, 1, 2, 3]), integer('keepdims', 0)]),
    node('Mul', ['mean', 'zero'], 'nothing', []),
    ...sizes.flatMap((name) => [
      node('Cast', [name], 'size_floats', [integer('to', floatType)]),
      node('ReduceMean', ['size_floats'], 'size_mean', [integers('axes', [0, 1]), integer('keepdims', 0)]),
      node('Mul', ['size_mean', 'zero'], 'size_nothing', []),
      node('Add', ['nothing', 'size_nothing'], 'nothing_of_both', []),
    ]),
    ...outputs.flatMap(({ name, isInteger = false }) => {
      const nothing = sizes.length === 0 ? 'nothing' : 'nothing_of_both';
      const add = node('Add', [`${name}_rows`, nothing], isInteger ? `${name}_float` : name, []);
      return isInteger ? [add, node('Cast', [`${name}_float`], name, [integer('to', integerType)])] : [add];
    }),
  ];
  const graph = Buffer.concat([
    ...nodes.map((encoded) => field(1, encoded)),
    field(2, Buffer.from('constant')),
    field(5, tensor('zero', [], new Float32Array([0]))),
    ...outputs.map(({ name, shape, values }) => field(5, tensor(`${name}_rows`, shape, values))),
    field(11, valueInfo('images', input.shape)),
    ...sizes.map((name) => field(11, valueInfo(name, [1, 2], integerType))),
    ...outputs.map(({ name, shape, isInteger = false }) =>
      field(12, valueInfo(name, shape, isInteger ? integerType : floatType)),
    ),
  ]);
  const notes = Object.entries(metadata).map(([key, value]) =>
    field(14, Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))])),
  );
  return Buffer.concat([varintField(1, 7), field(7, graph), field(8, varintField(2, 11)), ...notes]);
}

/** An embedding that needs no training: the mean of each channel of what it is shown, so that like colours are alike. */
export function encodeMeanColourModel({ widthPx, heightPx }: { widthPx: number; heightPx: number }): Buffer {
  const mean = node('ReduceMean', ['images'], 'embedding', [integers('axes', [2, 3]), integer('keepdims', 0)]);
  const graph = Buffer.concat([
    field(1, mean),
    field(2, Buffer.from('mean colour')),
    field(11, valueInfo('images', [1, 3, heightPx, widthPx])),
    field(12, valueInfo('embedding', [1, 3])),
  ]);
  return Buffer.concat([varintField(1, 7), field(7, graph), field(8, varintField(2, 11))]);
}

const burdenSize = 1024;

/** Nothing, multiplied with itself as a large matrix, is nothing again; it hangs on the input, so that no optimiser does it beforehand. */
function burdenNodes(products: number): Buffer[] {
  if (products === 0) return [];
  const steps = Array.from({ length: products }, (_, step) =>
    node('MatMul', [`burden_${step}`, `burden_${step}`], `burden_${step + 1}`, []),
  );
  return [
    node('Expand', ['nothing', 'burden_shape'], 'burden_0', []),
    ...steps,
    node('ReduceMean', [`burden_${products}`], 'nothing_again', [integers('axes', [0, 1]), integer('keepdims', 1)]),
  ];
}

const floatType = 1;
const integerType = 7;
const integerAttribute = 2;
const integersAttribute = 7;

function node(operator: string, inputs: readonly string[], output: string, attributes: readonly Buffer[]): Buffer {
  return Buffer.concat([
    ...inputs.map((input) => field(1, Buffer.from(input))),
    field(2, Buffer.from(output)),
    field(4, Buffer.from(operator)),
    ...attributes.map((attribute) => field(5, attribute)),
  ]);
}

function integer(name: string, value: number): Buffer {
  return Buffer.concat([field(1, Buffer.from(name)), varintField(3, value), varintField(20, integerAttribute)]);
}

function integers(name: string, values: readonly number[]): Buffer {
  const encoded = values.map((value) => varintField(8, value));
  return Buffer.concat([field(1, Buffer.from(name)), ...encoded, varintField(20, integersAttribute)]);
}

function tensor(name: string, shape: readonly number[], values: Float32Array): Buffer {
  return Buffer.concat([
    ...shape.map((size) => varintField(1, size)),
    varintField(2, floatType),
    field(8, Buffer.from(name)),
    field(9, Buffer.from(values.buffer, values.byteOffset, values.byteLength)),
  ]);
}

function integerTensor(name: string, values: readonly number[]): Buffer {
  const raw = Buffer.from(BigInt64Array.from(values, BigInt).buffer);
  return Buffer.concat([
    varintField(1, values.length),
    varintField(2, integerType),
    field(8, Buffer.from(name)),
    field(9, raw),
  ]);
}

function valueInfo(name: string, shape: readonly number[], type = floatType): Buffer {
  const dimensions = shape.map((size) => field(1, varintField(1, size)));
  const tensorType = Buffer.concat([varintField(1, type), field(2, Buffer.concat(dimensions))]);
  return Buffer.concat([field(1, Buffer.from(name)), field(2, field(1, tensorType))]);
}

/** A length-delimited field. */
function field(number: number, payload: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(payload.length), payload]);
}

function varintField(number: number, value: number): Buffer {
  return Buffer.concat([varint(number << 3), varint(value)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}
