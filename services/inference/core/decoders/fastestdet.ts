import { outputOfShape, pushCentred, shapeMismatch, type CreateDecoder } from './decoder.ts';

/**
 * FastestDet: one output [1, 5 + classes, rows, columns]: planes of objectness, box and class scores (already between 0 and 1). The
 * score is objectness^0.6 times class^0.4, the box a fraction of the picture around its cell.
 */
export const createFastestdetDecoder: CreateDecoder<'fastestdet'> = (manifest, shapes, { scoreByClass }) => {
  const { widthPx, heightPx } = manifest.input;
  const planes = 5 + manifest.labels.length;
  const name = outputOfShape(shapes, (dims) => dims.length === 4 && dims[0] === 1 && dims[1] === planes);
  if (name === undefined) throw shapeMismatch(manifest, `one output [1,${planes},rows,columns]`, shapes);
  const [, , rows = 0, columns = 0] = shapes[name] ?? [];
  const cells = rows * columns;

  return (tensors, candidates) => {
    const values = tensors[name]?.data;
    if (values === undefined) return;
    for (let cell = 0; cell < cells; cell++) {
      const at = (plane: number): number => values[plane * cells + cell] ?? 0;
      let best = 0;
      for (let each = 1; each < scoreByClass.length; each++) if (at(5 + each) > at(5 + best)) best = each;
      const score = at(0) ** 0.6 * at(5 + best) ** 0.4;
      if (!(score >= (scoreByClass[best] ?? 0))) continue;
      const box = {
        x: (((cell % columns) + Math.tanh(at(1))) / columns) * widthPx,
        y: ((Math.floor(cell / columns) + Math.tanh(at(2))) / rows) * heightPx,
        width: sigmoid(at(3)) * widthPx,
        height: sigmoid(at(4)) * heightPx,
      };
      pushCentred(candidates, box, score, best);
    }
  };
};

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
