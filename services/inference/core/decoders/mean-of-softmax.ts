/** Expectation of 0..bins-1 under the softmax of that many values: how the distance heads of PicoDet and NanoDet say a length. */
export function meanOfSoftmax(values: Float32Array, from: number, bins: number): number {
  let highest = Number.NEGATIVE_INFINITY;
  for (let bin = 0; bin < bins; bin++) highest = Math.max(highest, values[from + bin] ?? 0);
  let sum = 0;
  let weighted = 0;
  for (let bin = 0; bin < bins; bin++) {
    const weight = Math.exp((values[from + bin] ?? 0) - highest);
    sum += weight;
    weighted += weight * bin;
  }
  return weighted / sum;
}
