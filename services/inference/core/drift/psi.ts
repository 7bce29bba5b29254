/**
 * The population stability index of two histograms over the same bins: the sum over the bins of (a - e) ln(a / e), where e and a are the shares
 * of the reference and of now. It comes from credit scoring (N. Siddiqi, Credit Risk Scorecards, Wiley 2006), and so do its limits: below 0.1 nothing
 * has changed, above 0.25 much has. Without any change it is still about (bins - 1) (1/n + 1/m) for n and m samples (B. Yurdakul, Statistical
 * Properties of Population Stability Index, 2018), so that few samples say nothing. Half a sample is added to each bin: an empty one would make it infinite.
 */
export function populationStabilityIndex(reference: ArrayLike<number>, current: ArrayLike<number>): number {
  const used: (readonly [number, number])[] = [];
  let expectedTotal = 0;
  let actualTotal = 0;
  for (let bin = 0; bin < reference.length; bin++) {
    const expected = reference[bin] ?? 0;
    const actual = current[bin] ?? 0;
    if (expected === 0 && actual === 0) continue;
    used.push([expected + 0.5, actual + 0.5]);
    expectedTotal += expected + 0.5;
    actualTotal += actual + 0.5;
  }
  return used.reduce((sum, [expected, actual]) => {
    const [was, is] = [expected / expectedTotal, actual / actualTotal];
    return sum + (is - was) * Math.log(is / was);
  }, 0);
}

/** Limits of the index, as its source has them. */
export const stableBelow = 0.1;
export const driftAbove = 0.25;
