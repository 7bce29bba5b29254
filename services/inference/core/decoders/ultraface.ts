import { outputOfShape, shapeMismatch, type CreateDecoder } from './decoder.ts';

/** UltraFace: scores [1, boxes, 2] (no face, face) and boxes [1, boxes, 4], corners as fractions of the picture. One class: face. */
export const createUltrafaceDecoder: CreateDecoder<'ultraface'> = (manifest, shapes, { scoreByClass }) => {
  const { widthPx, heightPx } = manifest.input;
  const wide = (width: number) =>
    outputOfShape(shapes, (dims) => dims.length === 3 && dims[0] === 1 && dims[2] === width);
  const [scoresName, boxesName] = [wide(2), wide(4)];
  const isOneClass = manifest.labels.length === 1;
  if (scoresName === undefined || boxesName === undefined || !isOneClass)
    throw shapeMismatch(manifest, 'one label, and outputs [1,boxes,2] and [1,boxes,4]', shapes);
  const threshold = scoreByClass[0] ?? 0;

  return (tensors, candidates) => {
    const scores = tensors[scoresName]?.data;
    const boxes = tensors[boxesName]?.data;
    if (scores === undefined || boxes === undefined) return;
    for (let box = 0; box * 2 < scores.length; box++) {
      const score = scores[box * 2 + 1] ?? 0;
      if (!(score >= threshold)) continue;
      const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.subarray(box * 4, box * 4 + 4);
      candidates.push(x1 * widthPx, y1 * heightPx, x2 * widthPx, y2 * heightPx, score, 0);
    }
  };
};
