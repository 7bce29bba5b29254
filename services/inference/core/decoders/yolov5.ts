import { outputOfShape, pushCentred, shapeMismatch, type CreateDecoder } from './decoder.ts';

/**
 * YOLOv5 (and v6, v7): one output [1, boxes, 5 + classes] in pixels of the input: centre, size, objectness and class scores, all decoded
 * in the graph. The score is objectness times the best class.
 */
export const createYolov5Decoder: CreateDecoder<'yolov5'> = (manifest, shapes, { lowestScore, scoreByClass }) => {
  const rowLength = 5 + manifest.labels.length;
  const name = outputOfShape(shapes, (dims) => dims.length === 3 && dims[0] === 1 && dims[2] === rowLength);
  if (name === undefined) throw shapeMismatch(manifest, `one output [1,boxes,${rowLength}]`, shapes);

  return (tensors, candidates) => {
    const rows = tensors[name]?.data;
    if (rows === undefined) return;
    for (let at = 0; at + rowLength <= rows.length; at += rowLength) {
      const objectness = rows[at + 4] ?? 0;
      if (!(objectness >= lowestScore)) continue;
      let best = 0;
      for (let each = 1; each < scoreByClass.length; each++)
        if ((rows[at + 5 + each] ?? 0) > (rows[at + 5 + best] ?? 0)) best = each;
      const score = objectness * (rows[at + 5 + best] ?? 0);
      if (!(score >= (scoreByClass[best] ?? 0))) continue;
      const [x = 0, y = 0, width = 0, height = 0] = rows.subarray(at, at + 4);
      pushCentred(candidates, { x, y, width, height }, score, best);
    }
  };
};
