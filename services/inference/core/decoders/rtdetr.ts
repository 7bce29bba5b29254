import type { CandidateList } from '../detections.ts';
import type { ScoreRules } from '../model.ts';
import { outputOfShape, pushCentred, shapeMismatch, type CreateDecoder, type Decode } from './decoder.ts';

/**
 * RT-DETR, D-FINE and DEIM, in the three forms that their exporters give. No suppression belongs to it: a query is an object.
 * - labels [1, n], boxes [1, n, 4] (corners in pixels of the size that was asked for: the input's), scores [1, n];
 * - logits [1, n, classes] and boxes [1, n, 4] (centre and size as fractions);
 * - one output [1, n, 4 + classes], the same with scores already between 0 and 1.
 */
export const createRtdetrDecoder: CreateDecoder<'rtdetr'> = (manifest, shapes, rules) => {
  const classes = manifest.labels.length;
  const { widthPx, heightPx } = manifest.input;
  const isBoxes = (dims: readonly number[], name: string): boolean =>
    dims.length === 3 && dims[2] === 4 && !/logit|score/i.test(name);
  const boxes = outputOfShape(shapes, isBoxes);
  const scores = outputOfShape(shapes, (dims, name) => dims.length === 2 && /score/i.test(name));
  const labels = outputOfShape(shapes, (dims, name) => dims.length === 2 && /label|class/i.test(name));
  if (boxes !== undefined && scores !== undefined && labels !== undefined)
    return decodeFinished({ boxes, scores, labels }, rules);

  const logits = outputOfShape(
    shapes,
    (dims, name) => dims.length === 3 && dims[2] === classes && !isBoxes(dims, name),
  );
  const size = { widthPx, heightPx };
  if (boxes !== undefined && logits !== undefined) {
    return (tensors, candidates) => {
      const [boxValues, values] = [tensors[boxes]?.data, tensors[logits]?.data];
      if (boxValues === undefined || values === undefined) return;
      pushQueries(candidates, rules, size, {
        count: boxValues.length / 4,
        box: (query) => boxValues.subarray(query * 4, query * 4 + 4),
        score: (query, each) => 1 / (1 + Math.exp(-(values[query * classes + each] ?? 0))),
      });
    };
  }
  const rowLength = 4 + classes;
  const whole = outputOfShape(shapes, (dims) => dims.length === 3 && dims[2] === rowLength);
  if (whole === undefined) {
    const expected = `labels, boxes and scores, or logits [1,n,${classes}] and boxes [1,n,4], or one output [1,n,${rowLength}]`;
    throw shapeMismatch(manifest, expected, shapes);
  }
  return (tensors, candidates) => {
    const rows = tensors[whole]?.data;
    if (rows === undefined) return;
    pushQueries(candidates, rules, size, {
      count: rows.length / rowLength,
      box: (query) => rows.subarray(query * rowLength, query * rowLength + 4),
      score: (query, each) => rows[query * rowLength + 4 + each] ?? 0,
    });
  };
};

function decodeFinished(
  names: { readonly boxes: string; readonly scores: string; readonly labels: string },
  { scoreByClass }: ScoreRules,
): Decode {
  return (tensors, candidates) => {
    const boxes = tensors[names.boxes]?.data;
    const labels = tensors[names.labels]?.data;
    tensors[names.scores]?.data.forEach((score, query) => {
      const classIndex = labels?.[query] ?? -1;
      if (!(score >= (scoreByClass[classIndex] ?? Number.POSITIVE_INFINITY))) return;
      const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes?.subarray(query * 4, query * 4 + 4) ?? [];
      candidates.push(x1, y1, x2, y2, score, classIndex);
    });
  };
}

interface Queries {
  readonly count: number;
  /** Centre and size as fractions. */
  box(query: number): Float32Array;
  score(query: number, classIndex: number): number;
}

function pushQueries(
  candidates: CandidateList,
  { scoreByClass }: ScoreRules,
  size: { readonly widthPx: number; readonly heightPx: number },
  queries: Queries,
): void {
  for (let query = 0; query < queries.count; query++) {
    let best = 0;
    for (let each = 1; each < scoreByClass.length; each++)
      if (queries.score(query, each) > queries.score(query, best)) best = each;
    const score = queries.score(query, best);
    if (!(score >= (scoreByClass[best] ?? 0))) continue;
    const [x = 0, y = 0, width = 0, height = 0] = queries.box(query);
    const scaled = {
      x: x * size.widthPx,
      y: y * size.heightPx,
      width: width * size.widthPx,
      height: height * size.heightPx,
    };
    pushCentred(candidates, scaled, score, best);
  }
}
