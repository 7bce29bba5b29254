import { AppError } from '#shared/core/errors';
import { createFieldReader, modelCorrupt } from './onnx-fields.ts';

export interface OnnxSummary {
  readonly irVersion: number;
  /** Version of the standard operators that the model was written for. */
  readonly opset: number;
  readonly nodeCount: number;
  /** The exporter, as it names itself. */
  readonly producer: string;
  /** What the exporter noted: names of the classes, size, licence. Text that anybody may have written. */
  readonly metadata: Readonly<Record<string, string>>;
}

interface Totals {
  irVersion: number;
  opset: number;
  nodeCount: number;
  producer: string;
  metadata: Record<string, string>;
}

/** Messages of onnx.proto that can hold a tensor or an operator: field number to the message it leads to. */
const descents: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  Model: { 7: 'Graph', 8: 'OperatorSet', 20: 'Training', 25: 'Function' },
  Training: { 1: 'Graph', 2: 'Graph' },
  Function: { 7: 'Node', 9: 'OperatorSet', 11: 'Attribute' },
  Graph: { 1: 'Node', 5: 'Tensor', 15: 'SparseTensor' },
  SparseTensor: { 1: 'Tensor', 2: 'Tensor' },
  Node: { 5: 'Attribute' },
  Attribute: { 5: 'Tensor', 6: 'Graph', 10: 'Tensor', 11: 'Graph', 22: 'SparseTensor', 23: 'SparseTensor' },
};

const maxDepth = 64;
const utf8 = new TextDecoder();

/**
 * Walks the protobuf of an ONNX file without loading it. onnxruntime reads tensors that are kept outside the file from the working
 * directory even when the model comes from a buffer, so that a verified file would still run unverified weights: such models are refused
 * (SIGHTLINE_MODEL_UNSAFE), and so are operators of other domains than ONNX and the runtime's own. What is not protobuf, or has no
 * graph, is SIGHTLINE_MODEL_CORRUPT.
 */
export function inspectOnnx(bytes: Uint8Array): OnnxSummary {
  const totals: Totals = { irVersion: 0, opset: 0, nodeCount: 0, producer: '', metadata: {} };
  walk(bytes, 'Model', 0, totals);
  if (totals.irVersion === 0 || totals.nodeCount === 0) throw modelCorrupt('it holds no ONNX graph');
  return totals;
}

function walk(bytes: Uint8Array, message: string, depth: number, totals: Totals): void {
  if (depth > maxDepth) throw modelCorrupt('its graphs are nested too deeply');
  if (message === 'Node') totals.nodeCount++;
  const reader = createFieldReader(bytes);
  let domain = '';
  let version = 0;
  for (let field = reader.next(); field !== undefined; field = reader.next()) {
    if (message === 'Model' && field.number === 1) totals.irVersion = field.value;
    if (message === 'Model' && field.number === 2) totals.producer = textOf(field.bytes);
    if (message === 'Model' && field.number === 14 && field.bytes !== undefined)
      noteMetadata(field.bytes, totals.metadata);
    if (message === 'Tensor' && (field.number === 13 || (field.number === 14 && field.value !== 0))) {
      throw new AppError('SIGHTLINE_MODEL_UNSAFE', 'the model keeps tensors outside its file');
    }
    if (message === 'Node' && field.number === 7) refuseForeignDomain(textOf(field.bytes));
    if (message === 'OperatorSet' && field.number === 1) domain = textOf(field.bytes);
    if (message === 'OperatorSet' && field.number === 2) version = field.value;
    const inner = descents[message]?.[field.number];
    if (inner !== undefined && field.bytes !== undefined) walk(field.bytes, inner, depth + 1, totals);
  }
  if (message === 'OperatorSet' && (domain === '' || domain === 'ai.onnx'))
    totals.opset = Math.max(totals.opset, version);
}

const maxMetadataEntries = 100;

function noteMetadata(bytes: Uint8Array, metadata: Record<string, string>): void {
  const reader = createFieldReader(bytes);
  let key = '';
  let value = '';
  for (let field = reader.next(); field !== undefined; field = reader.next()) {
    if (field.number === 1) key = textOf(field.bytes);
    if (field.number === 2) value = textOf(field.bytes, 100_000);
  }
  if (key !== '__proto__' && Object.keys(metadata).length < maxMetadataEntries) metadata[key] = value;
}

const knownDomains = new Set(['', 'ai.onnx', 'ai.onnx.ml', 'com.microsoft']);

function refuseForeignDomain(domain: string): void {
  if (knownDomains.has(domain)) return;
  throw new AppError('SIGHTLINE_MODEL_UNSAFE', `the model uses operators of the domain '${domain.slice(0, 100)}'`);
}

function textOf(bytes: Uint8Array | undefined, maxBytes = 200): string {
  return bytes === undefined ? '' : utf8.decode(bytes.subarray(0, maxBytes));
}
