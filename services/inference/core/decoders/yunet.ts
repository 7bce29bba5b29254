import { pushCentred, shapeMismatch, type CreateDecoder } from './decoder.ts';

/**
 * YuNet: per stride two scores [1, cells, 1] (class and objectness; the square root of their product counts), a box [1, cells, 4]
 * relative to its cell and five landmarks [1, cells, 10]. The landmarks are not used: records hold boxes. Known by their shapes, which the
 * file declares for 640x640 only. One class: face.
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
    if (first === undefined || second === undefined || box === undefined || others.length > 0 || labels.length !== 1) {
      const expected = `one label, and for stride ${stride} two outputs [1,${cells},1] and one [1,${cells},4]`;
      throw shapeMismatch(manifest, expected, shapes);
    }
    return { stride, columns, cells, first, second, box };
  });
  const threshold = scoreByClass[0] ?? 0;

  return (tensors, candidates) => {
    for (const { stride, columns, cells, first, second, box } of levels) {
      const [classes, objectness, boxes] = [tensors[first]?.data, tensors[second]?.data, tensors[box]?.data];
      if (classes === undefined || objectness === undefined || boxes === undefined) continue;
      for (let cell = 0; cell < cells; cell++) {
        const score = Math.sqrt((classes[cell] ?? 0) * (objectness[cell] ?? 0));
        if (!(score >= threshold)) continue;
        const [x = 0, y = 0, width = 0, height = 0] = boxes.subarray(cell * 4, cell * 4 + 4);
        const centred = {
          x: ((cell % columns) + x) * stride,
          y: (Math.floor(cell / columns) + y) * stride,
          width: Math.exp(width) * stride,
          height: Math.exp(height) * stride,
        };
        pushCentred(candidates, centred, score, 0);
      }
    }
  };
};
