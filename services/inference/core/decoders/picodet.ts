import type { CreateDecoder } from './decoder.ts';
import { shapeMismatch } from './decoder.ts';
import { meanOfSoftmax } from './mean-of-softmax.ts';

interface Level {
  readonly scoresName: string;
  readonly distancesName: string;
  readonly stride: number;
  readonly columns: number;
  readonly cells: number;
}

/**
 * PicoDet: per stride one output of class scores [1, cells, classes] (already between 0 and 1) and one of distances
 * [1, cells, 4 * bins]: for each side a distribution over the bins, whose mean times the stride is the distance from the cell's centre.
 * As in the reference, a cell gives one box for every class that reaches its threshold.
 */
export const createPicodetDecoder: CreateDecoder<'picodet'> = (manifest, shapes, rules) => {
  const { input, labels, outputs } = manifest;
  const bins = outputs.regMax + 1;
  const classes = labels.length;
  const levels = outputs.strides.map((stride): Level => {
    const columns = Math.ceil(input.widthPx / stride);
    const cells = columns * Math.ceil(input.heightPx / stride);
    const named = (width: number): string[] =>
      Object.keys(shapes).filter((name) => {
        const dims = shapes[name] ?? [];
        return dims.length === 3 && dims[0] === 1 && dims[1] === cells && dims[2] === width;
      });
    // Outputs are known by their shape: exporters number their names anew each time.
    const [scoresName, ...moreScores] = named(classes);
    const [distancesName, ...moreDistances] = named(4 * bins);
    if (scoresName === undefined || distancesName === undefined || moreScores.length > 0 || moreDistances.length > 0) {
      throw shapeMismatch(
        manifest,
        `for stride ${stride} outputs [1,${cells},${classes}] and [1,${cells},${4 * bins}]`,
        shapes,
      );
    }
    return { scoresName, distancesName, stride, columns, cells };
  });
  const { lowestScore, scoreByClass } = rules;
  const lowestBits = orderedBits(lowestScore);
  const distances = new Float64Array(4);

  return (tensors, candidates) => {
    for (const level of levels) {
      const scores = tensors[level.scoresName]?.data;
      const distribution = tensors[level.distancesName]?.data;
      if (scores === undefined || distribution === undefined) continue;
      let decodedCell = -1;
      forEachAtLeast(scores, lowestBits, (at) => {
        const score = scores[at] ?? 0;
        const classIndex = at % classes;
        if (!(score >= (scoreByClass[classIndex] ?? 0))) return;
        const cell = (at - classIndex) / classes;
        if (cell !== decodedCell) {
          for (let side = 0; side < 4; side++) {
            distances[side] = meanOfSoftmax(distribution, (cell * 4 + side) * bins, bins) * level.stride;
          }
          decodedCell = cell;
        }
        const centreX = ((cell % level.columns) + 0.5) * level.stride;
        const centreY = (Math.floor(cell / level.columns) + 0.5) * level.stride;
        candidates.push(
          centreX - (distances[0] ?? 0),
          centreY - (distances[1] ?? 0),
          centreX + (distances[2] ?? 0),
          centreY + (distances[3] ?? 0),
          score,
          classIndex,
        );
      });
    }
  };
};

/** The bits of a float as an integer: for numbers that are not negative both have the same order. */
function orderedBits(value: number): number {
  const float = Float32Array.of(Math.max(0, value));
  return new Int32Array(float.buffer)[0] ?? 0;
}

/**
 * Calls `visit` for each index whose value may reach the threshold; the caller looks again at the exact value. Eight integers in one test:
 * a quarter of a million scores a frame are looked at and a handful are above, and this takes a third of the time of comparing floats.
 * The sign bit of `threshold - 1 - bits` is set where bits reach the threshold; negative floats have negative bits and may wrap, which
 * costs a second look and nothing else.
 */
function forEachAtLeast(values: Float32Array, thresholdBits: number, visit: (index: number) => void): void {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const below = thresholdBits - 1;
  const end = bits.length - (bits.length % 8);
  // `?? 0` satisfies the compiler and costs nothing: the indices are in range, and the machine code has no branch for it.
  for (let index = 0; index < end; index += 8) {
    const signs =
      (below - (bits[index] ?? 0)) |
      (below - (bits[index + 1] ?? 0)) |
      (below - (bits[index + 2] ?? 0)) |
      (below - (bits[index + 3] ?? 0)) |
      (below - (bits[index + 4] ?? 0)) |
      (below - (bits[index + 5] ?? 0)) |
      (below - (bits[index + 6] ?? 0)) |
      (below - (bits[index + 7] ?? 0));
    if (signs < 0) for (let each = index; each < index + 8; each++) if ((bits[each] ?? 0) > below) visit(each);
  }
  for (let index = end; index < bits.length; index++) if ((bits[index] ?? 0) > below) visit(index);
}
