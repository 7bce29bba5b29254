import { outputOfShape, shapeMismatch, type CreateDecoder } from './decoder.ts';
import { meanOfSoftmax } from './mean-of-softmax.ts';

/**
 * NanoDet-Plus: one output [1, cells, classes + 4 * bins], cells of all strides one after another; class scores are already between 0 and
 * 1, then for each side a distribution over the bins. Unlike PicoDet's, distances count from the cell's corner, not from its middle.
 * The first NanoDet has PicoDet's form, an output for each stride: describe it as picodet.
 */
export const createNanodetDecoder: CreateDecoder<'nanodet'> = (manifest, shapes, { scoreByClass }) => {
  const { input, labels, outputs } = manifest;
  const bins = outputs.regMax + 1;
  const classes = labels.length;
  const rowLength = classes + 4 * bins;
  const cells = outputs.strides.flatMap((stride) => {
    const columns = Math.ceil(input.widthPx / stride);
    const count = columns * Math.ceil(input.heightPx / stride);
    return Array.from({ length: count }, (_, index) => ({
      x: (index % columns) * stride,
      y: Math.floor(index / columns) * stride,
      stride,
    }));
  });
  const name = outputOfShape(
    shapes,
    (dims) => dims.length === 3 && dims[0] === 1 && dims[1] === cells.length && dims[2] === rowLength,
  );
  if (name === undefined) throw shapeMismatch(manifest, `one output [1,${cells.length},${rowLength}]`, shapes);

  return (tensors, candidates) => {
    const rows = tensors[name]?.data;
    if (rows === undefined) return;
    cells.forEach(({ x, y, stride }, cell) => {
      const at = cell * rowLength;
      let best = 0;
      for (let each = 1; each < classes; each++) if ((rows[at + each] ?? 0) > (rows[at + best] ?? 0)) best = each;
      const score = rows[at + best] ?? 0;
      if (!(score >= (scoreByClass[best] ?? 0))) return;
      const distance = (side: number): number => meanOfSoftmax(rows, at + classes + side * bins, bins) * stride;
      candidates.push(x - distance(0), y - distance(1), x + distance(2), y + distance(3), score, best);
    });
  };
};
