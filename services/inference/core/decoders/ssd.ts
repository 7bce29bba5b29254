import { outputOfShape, shapeMismatch, type CreateDecoder } from './decoder.ts';

/**
 * SSD and its kin with suppression in the graph: boxes [.., n, 4], scores and classes [.., n], told apart by their names. TensorFlow gives
 * y1 x1 y2 x2 as fractions, torchvision x1 y1 x2 y2 in pixels; n may differ from run to run. `firstLabel` is the number that class 0 of
 * the labels has in the output.
 */
export const createSsdDecoder: CreateDecoder<'ssd'> = (manifest, shapes, { scoreByClass }) => {
  const { input, outputs } = manifest;
  const boxesName = outputOfShape(shapes, (dims) => dims.length >= 2 && dims.at(-1) === 4);
  const scoresName = outputOfShape(shapes, (_, name) => /score/i.test(name));
  const classesName = outputOfShape(shapes, (_, name) => /class|label/i.test(name));
  if (boxesName === undefined || scoresName === undefined || classesName === undefined)
    throw shapeMismatch(manifest, 'boxes [..,n,4], and outputs named scores and classes (or labels)', shapes);
  const isFraction = outputs.boxForm === 'yxyx_fraction';

  return (tensors, candidates) => {
    const [boxes, scores, classes] = [tensors[boxesName]?.data, tensors[scoresName]?.data, tensors[classesName]?.data];
    if (boxes === undefined || scores === undefined || classes === undefined) return;
    scores.forEach((score, box) => {
      const classIndex = Math.round(classes[box] ?? 0) - outputs.firstLabel;
      if (!(score > 0 && score >= (scoreByClass[classIndex] ?? Number.POSITIVE_INFINITY))) return;
      const [a = 0, b = 0, c = 0, d = 0] = boxes.subarray(box * 4, box * 4 + 4);
      if (isFraction) {
        candidates.push(
          b * input.widthPx,
          a * input.heightPx,
          d * input.widthPx,
          c * input.heightPx,
          score,
          classIndex,
        );
      } else candidates.push(a, b, c, d, score, classIndex);
    });
  };
};
