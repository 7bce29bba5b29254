import { encodeNode, encodeTensor } from '../../services/inference/core/onnx-graph.ts';
import { encodeField, joinBytes } from '../../services/inference/core/onnx-fields.ts';

const endOfAxis = 2 ** 31 - 1;

/** An int64 tensor of one number. */
function integer(name: string, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
  return joinBytes([encodeField(1, 1), encodeField(2, 7), encodeField(8, name), encodeField(9, bytes)]);
}

function valueInfo(name: string, dims: readonly number[]): Uint8Array {
  const shape = joinBytes(dims.map((size) => encodeField(1, encodeField(1, size))));
  const tensor = joinBytes([encodeField(1, 1), encodeField(2, shape)]);
  return joinBytes([encodeField(1, name), encodeField(2, encodeField(1, tensor))]);
}

export interface StemModelOptions {
  readonly sizePx: number;
  /** [outs, 12, 3, 3] of the convolution behind the four parts of the picture. */
  readonly weights: Float32Array;
  /** Order in which the parts are joined: row and column in a block of 2x2 pixels. */
  readonly corners?: readonly (readonly [row: number, column: number])[];
  readonly step?: number;
  /** Whether the graph takes pictures of any size, though the file declares one. Default: no, as of a model with its grid written in. */
  readonly isFlexible?: boolean;
}

/** The stem of YOLOX alone: a picture in four parts, one convolution, and what it gives as [1, cells, outs] by a last Transpose. */
export function encodeStemModel(options: StemModelOptions): Uint8Array<ArrayBuffer> {
  const { sizePx, weights, step = 2 } = options;
  const corners = options.corners ?? [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ];
  const outs = weights.length / (12 * 9);
  const cells = (sizePx / 2) ** 2;
  const slices = corners.flatMap(([row, column], index) => [
    encodeNode('Slice', ['images', String(row), 'end', '2', 'step'], [`rows${index}`], {}),
    encodeNode('Slice', [`rows${index}`, String(column), 'end', '3', 'step'], [`part${index}`], {}),
  ]);
  const nodes = [
    ...slices,
    encodeNode('Concat', ['part0', 'part1', 'part2', 'part3'], ['parts'], { axis: 1 }),
    encodeNode('Conv', ['parts', 'weights'], ['seen'], {
      dilations: [1, 1],
      group: 1,
      kernel_shape: [3, 3],
      pads: [1, 1, 1, 1],
      strides: [1, 1],
    }),
    encodeNode('Reshape', ['seen', 'shape'], ['flat'], {}),
    encodeNode('Transpose', ['flat'], ['output'], { perm: [0, 2, 1] }),
  ];
  const shape = new BigInt64Array([1n, BigInt(outs), options.isFlexible === true ? -1n : BigInt(cells)]);
  const constants = [
    ...[0, 1, 2, 3].map((value) => integer(String(value), value)),
    integer('end', endOfAxis),
    integer('step', step),
    encodeTensor('weights', [outs, 12, 3, 3], weights),
    joinBytes([
      encodeField(1, 3),
      encodeField(2, 7),
      encodeField(8, 'shape'),
      encodeField(9, new Uint8Array(shape.buffer)),
    ]),
  ];
  const graph = joinBytes([
    ...nodes.map((node) => encodeField(1, node)),
    encodeField(2, 'stem'),
    ...constants.map((constant) => encodeField(5, constant)),
    encodeField(11, valueInfo('images', [1, 3, sizePx, sizePx])),
    encodeField(12, valueInfo('output', [1, cells, outs])),
    encodeField(13, valueInfo('parts', [1, 12, sizePx / 2, sizePx / 2])),
  ]);
  return joinBytes([encodeField(1, 6), encodeField(7, graph), encodeField(8, encodeField(2, 11))]);
}
