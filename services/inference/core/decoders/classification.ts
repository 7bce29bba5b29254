import { outputOfShape, shapeMismatch, type CreateDecoder } from './decoder.ts';

/**
 * Classes of the whole picture: one output [1, classes] (some add [.., 1, 1]). The best `topK` that reach their thresholds are objects whose
 * box is the picture.
 */
export const createClassificationDecoder: CreateDecoder<'classification'> = (manifest, shapes, { scoreByClass }) => {
  const classes = manifest.labels.length;
  const { widthPx, heightPx } = manifest.input;
  const { activation, topK } = manifest.outputs;
  const isVector = (dims: readonly number[]): boolean =>
    dims[0] === 1 && dims[1] === classes && dims.slice(2).every((size) => size === 1);
  const name = outputOfShape(shapes, isVector);
  if (name === undefined) throw shapeMismatch(manifest, `one output [1,${classes}]`, shapes);
  const order = Array.from({ length: classes }, (_, index) => index);

  return (tensors, candidates) => {
    const values = tensors[name]?.data;
    if (values === undefined) return;
    const scores = activation === 'softmax' ? softmax(values) : activation === 'sigmoid' ? values.map(sigmoid) : values;
    // Equal ones by class, whatever the frame before has left.
    order.sort((one, other) => (scores[other] ?? 0) - (scores[one] ?? 0) || one - other);
    for (const index of order.slice(0, topK)) {
      const score = scores[index] ?? 0;
      if (score >= (scoreByClass[index] ?? Infinity)) candidates.push(0, 0, widthPx, heightPx, score, index);
    }
  };
};

function softmax(values: Float32Array): Float32Array {
  const most = values.reduce((one, other) => Math.max(one, other), -Infinity);
  const shares = values.map((value) => Math.exp(value - most));
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.map((share) => share / sum);
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
