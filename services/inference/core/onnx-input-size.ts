import { asField, encodeField, fieldsOf, joinBytes, withField, type Field } from './onnx-fields.ts';
import { nameOf } from './onnx-graph.ts';
import type { ModelInput } from './model.ts';

// Field numbers of onnx.proto.
const graphOfModel = 7;
const graphFields = { input: 11, output: 12, valueInfo: 13 } as const;
const typeOfValueInfo = 2;
const tensorOfType = 1;
const shapeOfTensor = 2;
const sizeOfDimension = 1;

/**
 * Writes the height and width of a manifest's input into a file that declares others, and forgets every size that the file states of what
 * follows: the runtime finds them out anew. What the graph itself holds fixed to the old size shows when it is run. Gives the same bytes back
 * where the file already declares these sizes, leaves them open, or has no such input.
 */
export function resizeOnnxInput(
  bytes: Uint8Array<ArrayBuffer>,
  input: Pick<ModelInput, 'name' | 'layout' | 'widthPx' | 'heightPx'>,
): Uint8Array<ArrayBuffer> {
  const model = fieldsOf(bytes);
  const graph = model.find((field) => field.number === graphOfModel)?.bytes;
  if (graph === undefined) return bytes;
  const fields = fieldsOf(graph);
  const declared = fields.find((field) => field.number === graphFields.input && nameOf(field.bytes) === input.name);
  const { heightPx, widthPx } = input;
  const [heightAt, widthAt] = input.layout === 'NCHW' ? [2, 3] : [1, 2];
  const isOther = (size: number | undefined, wanted: number): boolean => size !== undefined && size !== wanted;
  const sizes = sizesOf(declared);
  if (declared === undefined || sizes.length !== 4) return bytes;
  if (!isOther(sizes[heightAt], heightPx) && !isOther(sizes[widthAt], widthPx)) return bytes;
  const wanted = new Map([
    [heightAt, heightPx],
    [widthAt, widthPx],
  ]);
  const written = fields.flatMap((field) => {
    if (field.number === graphFields.valueInfo) return [];
    if (field === declared)
      return [
        asField(
          graphFields.input,
          withSizes(field, (shape) => resized(shape, wanted)),
        ),
      ];
    return field.number === graphFields.output
      ? [
          asField(
            graphFields.output,
            withSizes(field, () => undefined),
          ),
        ]
      : [field];
  });
  const resizedGraph = encodeField(graphOfModel, joinBytes(written.map(({ raw }) => raw)));
  return joinBytes(model.map((field) => (field.number === graphOfModel ? resizedGraph : field.raw)));
}

/** The sizes of a value's dimensions; undefined for one that is open. */
function sizesOf(valueInfo: Field | undefined): (number | undefined)[] {
  const type = inside(valueInfo, typeOfValueInfo);
  const shape = inside(inside(type, tensorOfType), shapeOfTensor);
  return fieldsOf(shape?.bytes ?? new Uint8Array()).map(
    ({ bytes }) => fieldsOf(bytes ?? new Uint8Array()).find((field) => field.number === sizeOfDimension)?.value,
  );
}

function inside(message: Field | undefined, number: number): Field | undefined {
  return message?.bytes === undefined ? undefined : fieldsOf(message.bytes).find((field) => field.number === number);
}

function resized(shape: Uint8Array, wanted: ReadonlyMap<number, number>): Uint8Array {
  return joinBytes(
    fieldsOf(shape).map((dimension, index) => {
      const size = wanted.get(index);
      return size === undefined ? dimension.raw : encodeField(1, encodeField(sizeOfDimension, size));
    }),
  );
}

/** A ValueInfo with its shape written anew, or, where `change` gives nothing, without one. */
function withSizes(valueInfo: Field, change: (shape: Uint8Array) => Uint8Array | undefined): Uint8Array {
  return withField(valueInfo.bytes, typeOfValueInfo, (type) =>
    withField(type, tensorOfType, (tensor) => withField(tensor, shapeOfTensor, change)),
  );
}
