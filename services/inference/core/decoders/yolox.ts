import type { CreateDecoder } from './decoder.ts';
import { shapeMismatch } from './decoder.ts';

/**
 * YOLOX: one output [1, cells, 5 + classes], cells of all strides one after another, row by row; a row holds the box relative to its
 * cell, objectness and class scores (both already between 0 and 1). The score of a cell is objectness times its best class.
 * [1, 5 + classes, cells] is read too: what rewriteOnnx leaves of it.
 */
export const createYoloxDecoder: CreateDecoder<'yolox'> = (manifest, shapes, rules) => {
  const { input, labels, outputs } = manifest;
  const grid = layGrid(input.widthPx, input.heightPx, outputs.strides);
  const rowLength = 5 + labels.length;
  const [outputName, ...others] = Object.keys(shapes);
  const dims = outputName === undefined ? [] : (shapes[outputName] ?? []);
  const cells = grid.stride.length;
  const [batch, first, second] = dims;
  const isByCell = first === cells && second === rowLength;
  const isByValue = first === rowLength && second === cells;
  if (outputName === undefined || others.length > 0 || dims.length !== 3 || batch !== 1 || !(isByCell || isByValue)) {
    throw shapeMismatch(manifest, `one output [1,${cells},${rowLength}]`, shapes);
  }
  const [cellStep, valueStep] = isByCell ? [rowLength, 1] : [1, cells];
  const { lowestScore, scoreByClass } = rules;

  return (tensors, candidates) => {
    const rows = tensors[outputName]?.data;
    if (rows === undefined) return;
    for (let cell = 0, at = 0; cell < cells; cell++, at += cellStep) {
      const objectness = rows[at + 4 * valueStep] ?? 0;
      // A class score is at most 1, so nothing in this row can reach the threshold. NaN falls out here too.
      if (!(objectness >= lowestScore)) continue;
      let best = -1;
      let bestScore = -1;
      for (let classIndex = 0; classIndex < scoreByClass.length; classIndex++) {
        const score = rows[at + (5 + classIndex) * valueStep] ?? 0;
        if (score > bestScore) {
          bestScore = score;
          best = classIndex;
        }
      }
      const score = objectness * bestScore;
      if (best < 0 || !(score >= (scoreByClass[best] ?? 0))) continue;
      const stride = grid.stride[cell] ?? 0;
      const centreX = ((rows[at] ?? 0) + (grid.column[cell] ?? 0)) * stride;
      const centreY = ((rows[at + valueStep] ?? 0) + (grid.row[cell] ?? 0)) * stride;
      const halfWidth = (Math.exp(rows[at + 2 * valueStep] ?? 0) * stride) / 2;
      const halfHeight = (Math.exp(rows[at + 3 * valueStep] ?? 0) * stride) / 2;
      candidates.push(
        centreX - halfWidth,
        centreY - halfHeight,
        centreX + halfWidth,
        centreY + halfHeight,
        score,
        best,
      );
    }
  };
};

function layGrid(
  widthPx: number,
  heightPx: number,
  strides: readonly number[],
): { stride: Float64Array; column: Float64Array; row: Float64Array } {
  const cells = strides.flatMap((stride) => {
    const columns = Math.floor(widthPx / stride);
    const rows = Math.floor(heightPx / stride);
    return Array.from({ length: columns * rows }, (_, index) => ({
      stride,
      column: index % columns,
      row: Math.floor(index / columns),
    }));
  });
  return {
    stride: Float64Array.from(cells, (cell) => cell.stride),
    column: Float64Array.from(cells, (cell) => cell.column),
    row: Float64Array.from(cells, (cell) => cell.row),
  };
}
