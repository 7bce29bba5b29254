import { asField, encodeField, fieldsOf, joinBytes, withField, type Field } from './onnx-fields.ts';
import {
  encodeNode,
  encodeTensor,
  nameOf,
  parseNode,
  parseTensor,
  type OnnxNode,
  type OnnxTensor,
} from './onnx-graph.ts';

const graphOfModel = 7;
const graphFields = { node: 1, initializer: 5, output: 12, valueInfo: 13 } as const;

/**
 * Writes a model so that the runtime does less for the same numbers (up to the last bits of a float):
 *
 * - The stem of YOLOX and of older YOLOv5, which parts the picture into four by its even and odd rows and columns and convolves those, becomes
 *   the one convolution that it is: kernel twice as wide, stride 2. The runtime copies the whole picture twice otherwise.
 * - A last `Transpose` that makes [1, a, b] of [1, b, a] is left out, for decoders that read both: only on `mayTranspose`.
 *
 * YOLOX-nano at 416x416 on one thread: 6 and 1.5 % less CPU a frame. Gives the same bytes back where neither applies.
 */
export function rewriteOnnx(
  bytes: Uint8Array<ArrayBuffer>,
  options: { readonly mayTranspose: boolean },
): Uint8Array<ArrayBuffer> {
  const model = fieldsOf(bytes);
  const graph = model.find((field) => field.number === graphOfModel)?.bytes;
  if (graph === undefined) return bytes;
  const before = graphOf(fieldsOf(graph));
  const stemmed = foldStem(before) ?? before;
  const after = (options.mayTranspose ? dropLastTranspose(stemmed) : undefined) ?? stemmed;
  if (after === before) return bytes;
  const written = encodeField(graphOfModel, joinBytes(after.fields.map((field) => field.raw)));
  return joinBytes(model.map((field) => (field.number === graphOfModel ? written : field.raw)));
}

interface Graph {
  readonly fields: readonly Field[];
  readonly nodes: readonly { readonly node: OnnxNode; readonly field: Field }[];
  /** Initialisers by name, read when first asked for. */
  readonly constants: () => ReadonlyMap<string, OnnxTensor>;
}

function graphOf(fields: readonly Field[]): Graph {
  const nodes = fields
    .filter((field) => field.number === graphFields.node)
    .map((field) => ({ node: parseNode(field.bytes ?? new Uint8Array()), field }));
  let constants: ReadonlyMap<string, OnnxTensor> | undefined;
  return { fields, nodes, constants: () => (constants ??= readConstants(fields)) };
}

function makerOf({ nodes }: Graph, name: string): OnnxNode | undefined {
  return nodes.find(({ node }) => node.outputs.includes(name))?.node;
}

/** Who reads a value: operators, and the graph's outputs as undefined. */
function readersOf({ nodes, fields }: Graph, name: string): readonly (OnnxNode | undefined)[] {
  const isOutput = fields.some((field) => field.number === graphFields.output && nameOf(field.bytes) === name);
  const readers = nodes.filter(({ node }) => node.inputs.includes(name)).map(({ node }) => node);
  return isOutput ? [...readers, undefined] : readers;
}

function readConstants(fields: readonly Field[]): ReadonlyMap<string, OnnxTensor> {
  const initializers = fields.filter((field) => field.number === graphFields.initializer);
  return new Map(
    initializers.map(({ bytes }) => {
      const { name, tensor } = parseTensor(bytes ?? new Uint8Array());
      return [name, tensor];
    }),
  );
}

/** The one number of an int64 tensor of one. */
function constantInteger(graph: Graph, name: string | undefined): number | undefined {
  const { bytes, dataType } = graph.constants().get(name ?? '') ?? {};
  if (bytes?.length !== 8 || dataType !== 7) return undefined;
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true));
}

interface EverySecond {
  readonly of: string;
  readonly axis: number;
  readonly start: number;
}

/** A Slice that takes every second row or column up to the end. */
function everySecond(graph: Graph, name: string): EverySecond | undefined {
  const slice = makerOf(graph, name);
  if (slice?.op !== 'Slice' || slice.inputs.length !== 5) return undefined;
  const [start, end, axis, step] = slice.inputs.slice(1).map((input) => constantInteger(graph, input));
  const [of] = slice.inputs;
  if (of === undefined || (start !== 0 && start !== 1) || end === undefined || end < 2 ** 31 - 1) return undefined;
  return step === 2 && (axis === 2 || axis === 3) ? { of, axis, start } : undefined;
}

/** Where in a block of 2x2 pixels a value made by two such Slices comes from. */
function corner(
  graph: Graph,
  name: string,
): { readonly of: string; readonly row: number; readonly column: number } | undefined {
  const second = everySecond(graph, name);
  const first = second && everySecond(graph, second.of);
  if (second === undefined || first === undefined || first.axis === second.axis) return undefined;
  const [rows, columns] = first.axis === 2 ? [first, second] : [second, first];
  return { of: first.of, row: rows.start, column: columns.start };
}

function foldStem(graph: Graph): Graph | undefined {
  for (const { node: concat, field: concatField } of graph.nodes) {
    if (concat.op !== 'Concat' || concat.inputs.length !== 4 || concat.integers.get('axis')?.[0] !== 1) continue;
    const corners = concat.inputs.map((name) => corner(graph, name)).filter((each) => each !== undefined);
    const of = corners[0]?.of;
    const different = new Set(corners.filter((each) => each.of === of).map(({ row, column }) => 2 * row + column));
    if (of === undefined || different.size !== 4) continue;
    const readers = readersOf(graph, concat.outputs[0] ?? '');
    const conv = graph.nodes.find(({ node }) => node === readers[0]);
    const weights = graph.constants().get(conv?.node.inputs[1] ?? '');
    if (readers.length !== 1 || conv?.node.op !== 'Conv' || weights === undefined) continue;
    const folded = foldedConvolution(conv.node, of, weights, corners);
    if (folded === undefined) continue;
    const gone = withoutReaders(graph, concat);
    return graphOf(
      graph.fields
        .filter((field) => field !== concatField && !gone.fields.has(field) && !isAbout(field, gone.names))
        .flatMap((field) => (field === conv.field ? [folded.node, folded.weights] : [field])),
    );
  }
  return undefined;
}

/** The Slices behind a Concat that nobody else reads, and the names of what they and it make. */
function withoutReaders(graph: Graph, concat: OnnxNode): { readonly fields: Set<Field>; readonly names: Set<string> } {
  const names = new Set(concat.outputs);
  const fields = new Set<Field>();
  const nodes = new Set<OnnxNode | undefined>([concat]);
  // Slices of slices: from the last to the first, each goes when all that read it have gone.
  for (const { node, field } of graph.nodes.toReversed()) {
    if (node.op !== 'Slice') continue;
    const readers = node.outputs.flatMap((name) => readersOf(graph, name));
    if (readers.length === 0 || !readers.every((reader) => nodes.has(reader))) continue;
    nodes.add(node);
    fields.add(field);
    for (const name of node.outputs) names.add(name);
  }
  return { fields, names };
}

function isAbout(field: Field, names: ReadonlySet<string>): boolean {
  return field.number === graphFields.valueInfo && names.has(nameOf(field.bytes));
}

function foldedConvolution(
  conv: OnnxNode,
  input: string,
  weights: OnnxTensor,
  corners: readonly { readonly row: number; readonly column: number }[],
): { readonly node: Field; readonly weights: Field } | undefined {
  const [outs = 0, ins = 0, height = 0, width = 0] = weights.dims;
  const { bytes, dataType } = weights;
  const pads = conv.integers.get('pads') ?? [0, 0, 0, 0];
  const isPlain =
    (conv.integers.get('group')?.[0] ?? 1) === 1 &&
    [...(conv.integers.get('strides') ?? []), ...(conv.integers.get('dilations') ?? [])].every((each) => each === 1);
  if (!isPlain || dataType !== 1 || bytes?.length !== outs * ins * height * width * 4 || ins % 4 !== 0)
    return undefined;
  const channels = ins / 4;
  const from = new Float32Array(bytes.slice().buffer);
  const to = new Float32Array(from.length);
  for (let out = 0; out < outs; out++) {
    for (const [index, { row, column }] of corners.entries()) {
      for (let channel = 0; channel < channels; channel++) {
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) {
            const value = from[((out * ins + index * channels + channel) * height + y) * width + x] ?? 0;
            to[((out * channels + channel) * 2 * height + 2 * y + row) * 2 * width + 2 * x + column] = value;
          }
        }
      }
    }
  }
  const name = `${conv.inputs[1] ?? ''}/folded`;
  const node = encodeNode('Conv', [input, name, ...conv.inputs.slice(2)], conv.outputs, {
    dilations: [1, 1],
    group: 1,
    kernel_shape: [2 * height, 2 * width],
    pads: pads.map((pad) => 2 * pad),
    strides: [2, 2],
  });
  return {
    node: asField(graphFields.node, node),
    weights: asField(graphFields.initializer, encodeTensor(name, [outs, channels, 2 * height, 2 * width], to)),
  };
}

function dropLastTranspose(graph: Graph): Graph | undefined {
  const outputs = graph.fields.filter((field) => field.number === graphFields.output);
  const [output] = outputs;
  if (outputs.length !== 1 || output?.bytes === undefined) return undefined;
  const name = nameOf(output.bytes);
  const transpose = graph.nodes.find(({ node }) => node.op === 'Transpose' && node.outputs[0] === name);
  const [inside] = transpose?.node.inputs ?? [];
  if (transpose === undefined || inside === undefined || readersOf(graph, name).length !== 1) return undefined;
  if (transpose.node.integers.get('perm')?.join() !== '0,2,1' || readersOf(graph, inside).length !== 1)
    return undefined;
  const maker = graph.nodes.find(({ node }) => node.outputs.includes(inside));
  if (maker === undefined) return undefined;
  const renamed = maker.node.fields.map((field) =>
    field.number === 2 && new TextDecoder().decode(field.bytes) === inside
      ? asField(2, new TextEncoder().encode(name))
      : field,
  );
  const declared = withField(output.bytes, 2, transposed);
  return graphOf(
    graph.fields
      .filter((field) => field !== transpose.field && !isAbout(field, new Set([inside])))
      .map((field) => {
        if (field === maker.field) return asField(graphFields.node, joinBytes(renamed.map(({ raw }) => raw)));
        if (field === output) return asField(graphFields.output, declared);
        return field;
      }),
  );
}

/** A TypeProto of a tensor, its second and third size exchanged. */
function transposed(type: Uint8Array): Uint8Array {
  return withField(type, 1, (tensor) =>
    withField(tensor, 2, (shape) => {
      const [batch, first, second, ...others] = fieldsOf(shape);
      const sizes = [batch, second, first, ...others].filter((size) => size !== undefined);
      return joinBytes(sizes.map(({ raw }) => raw));
    }),
  );
}
