import { keypointStride, noScore } from '../detections.ts';
import { pushCentred, shapeMismatch, type CreateDecoder } from './decoder.ts';

/**
 * YuNet: per stride two scores [1, cells, 1] (class and objectness; the square root of their product counts), a box [1, cells, 4]
 * relative to its cell and five landmarks [1, cells, 10], each relative to its cell in strides too. Known by their shapes, which the file
 * declares for 640x640 only. One class: face.
 */
export const createYunetDecoder: CreateDecoder<'yunet'> = (manifest, shapes, { scoreByClass }) => {
  const { input, labels, outputs } = manifest;
  const levels = outputs.strides.map((stride) => {
    const columns = Math.floor(input.widthPx / stride);
    const cells = columns * Math.floor(input.heightPx / stride);
    const ofWidth = (width: number): string[] =>
      Object.keys(shapes).filter((name) => {
        const dims = shapes[name] ?? [];
        return dims.length === 3 && dims[1] === cells && dims[2] === width;
      });
    const [first, second, ...others] = ofWidth(1);
    const [box] = ofWidth(4);
    const [landmarks] = ofWidth(10);
    const areThere = first !== undefined && second !== undefined && box !== undefined && landmarks !== undefined;
    if (!areThere || others.length > 0 || labels.length !== 1) {
      const expected = `one label, and for stride ${stride} two outputs [1,${cells},1], one [1,${cells},4] and one [1,${cells},10]`;
      throw shapeMismatch(manifest, expected, shapes);
    }
    return { stride, columns, cells, first, second, box, landmarks };
  });
  const threshold = scoreByClass[0] ?? 0;

  return (tensors, candidates) => {
    for (const { stride, columns, cells, first, second, box, landmarks } of levels) {
      const [classes, objectness, boxes] = [tensors[first]?.data, tensors[second]?.data, tensors[box]?.data];
      const points = tensors[landmarks]?.data;
      if (classes === undefined || objectness === undefined || boxes === undefined || points === undefined) continue;
      for (let cell = 0; cell < cells; cell++) {
        const score = Math.sqrt((classes[cell] ?? 0) * (objectness[cell] ?? 0));
        if (!(score >= threshold)) continue;
        const [x = 0, y = 0, width = 0, height = 0] = boxes.subarray(cell * 4, cell * 4 + 4);
        const [column, row] = [cell % columns, Math.floor(cell / columns)];
        const centred = {
          x: (column + x) * stride,
          y: (row + y) * stride,
          width: Math.exp(width) * stride,
          height: Math.exp(height) * stride,
        };
        pushCentred(candidates, centred, score, 0);
        const keypoints = candidates.keypointsOfLast();
        for (let at = 0, from = cell * 10; at < keypoints.length; at += keypointStride, from += 2) {
          keypoints[at] = (column + (points[from] ?? 0)) * stride;
          keypoints[at + 1] = (row + (points[from + 1] ?? 0)) * stride;
          keypoints[at + 2] = noScore;
        }
      }
    }
  };
};
