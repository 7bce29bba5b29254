import { spreadOf, type Spread } from './measure-cpu.ts';

/** CPU milliseconds of one variant, or frames, on the clip several times over and once. */
export interface Pair {
  readonly long: number;
  readonly once: number;
}

/** CPU milliseconds of a frame, one figure for each pair. */
export type PerFrame = (pairs: readonly Pair[]) => readonly number[];

/** What a frame costs once it runs: start-up and the compiler's first minute are in both runs and fall out. */
export function marginal(frames: Pair): PerFrame {
  return (pairs) => pairs.map(({ long, once }) => (long - once) / (frames.long - frames.once));
}

/** What a frame costs in a run on the clip once, start-up and all. */
export function wholeRun(frames: Pair): PerFrame {
  return (pairs) => pairs.map(({ once }) => once / frames.once);
}

export interface Runs {
  readonly decode: readonly Pair[];
  readonly inference: readonly Pair[];
  readonly pipeline: readonly Pair[];
  /** Empty where Python lacks what the loop by hand needs. */
  readonly by_hand: readonly Pair[];
}

export interface Ratios {
  /** CPU of a frame in the pipeline over that of the limit. */
  readonly ratio_to_limit: Spread;
  readonly by_hand_ratio: Spread | null;
}

export function ratiosOf(runs: Runs, perFrame: PerFrame): Ratios {
  const limit = perFrame(sumOf(runs.decode, runs.inference));
  return {
    ratio_to_limit: over(perFrame(runs.pipeline), limit),
    by_hand_ratio: runs.by_hand.length === 0 ? null : over(perFrame(runs.by_hand), limit),
  };
}

export function over(above: readonly number[], below: readonly number[]): Spread {
  return spreadOf(above.map((value, index) => value / (below[index] ?? Number.NaN)));
}

/** What two variants cost together, repeat by repeat. */
export function sumOf(some: readonly Pair[], others: readonly Pair[]): Pair[] {
  return some.map(({ long, once }, index) => ({
    long: long + (others[index]?.long ?? Number.NaN),
    once: once + (others[index]?.once ?? Number.NaN),
  }));
}

/** Null where the variant was not run. */
export function medianOf(pairs: readonly Pair[], perFrame: PerFrame): number | null {
  return pairs.length === 0 ? null : spreadOf(perFrame(pairs)).median;
}

/** CPU of a run on the clip once that its frames do not explain; null where the variant was not run. */
export function startUpOf(pairs: readonly Pair[], frames: Pair): number | null {
  const perFrame = medianOf(pairs, marginal(frames));
  return perFrame === null ? null : spreadOf(pairs.map(({ once }) => once)).median - perFrame * frames.once;
}

export function spreadText(spread: Spread | null): string {
  if (spread === null) return 'not measured';
  const { median, min, max } = spread;
  return `${median.toFixed(3)} (${min.toFixed(3)}-${max.toFixed(3)})`;
}

export function show(value: number | null): string {
  return value === null ? '-' : value.toFixed(2);
}

export function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
