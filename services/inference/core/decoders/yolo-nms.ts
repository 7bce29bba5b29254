import { outputOfShape, shapeMismatch, type CreateDecoder } from './decoder.ts';

const rowLength = 6;

/**
 * YOLO with suppression in the graph (YOLOv10, and v8/v11 exported with nms=True): one output [1, boxes, 6] in pixels of the input:
 * x1, y1, x2, y2, score, class; rows that are not used have a score of 0.
 */
export const createYoloNmsDecoder: CreateDecoder<'yolo_nms'> = (manifest, shapes, { lowestScore, scoreByClass }) => {
  const name = outputOfShape(shapes, (dims) => dims.length === 3 && dims[0] === 1 && dims[2] === rowLength);
  if (name === undefined) throw shapeMismatch(manifest, `one output [1,boxes,${rowLength}]`, shapes);

  return (tensors, candidates) => {
    const rows = tensors[name]?.data;
    if (rows === undefined) return;
    for (let at = 0; at + rowLength <= rows.length; at += rowLength) {
      const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, score = 0, classIndex = 0] = rows.subarray(at, at + rowLength);
      // A class that has no label is not wanted either.
      if (score > 0 && score >= lowestScore && score >= (scoreByClass[classIndex] ?? Number.POSITIVE_INFINITY))
        candidates.push(x1, y1, x2, y2, score, classIndex);
    }
  };
};
