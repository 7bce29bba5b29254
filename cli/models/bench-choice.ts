import type { BenchRow } from './model-bench.ts';

export type BenchChoice =
  | { readonly kind: 'better'; readonly row: BenchRow; readonly gain: number }
  | { readonly kind: 'within-noise'; readonly reason: string };

/** Less than this is not worth a setting that somebody has to know of. */
const leastGain = 0.05;

/**
 * The setting that gives most frames a second, where it beats the one that is used without it beyond doubt: even its worst round is above the
 * best of the other. Only settings of one picture a run: the pipeline makes no batches.
 */
export function chooseSetting(
  rows: readonly BenchRow[],
  usual: { readonly threads: number; readonly provider: BenchRow['provider'] },
): BenchChoice {
  const usable = rows.filter(({ batch }) => batch === 1);
  const isUsual = ({ threads, provider }: BenchRow): boolean =>
    threads === usual.threads && provider === usual.provider;
  const base = usable.find(isUsual);
  const [best] = [...usable].sort((one, other) => other.frames_per_s - one.frames_per_s);
  const name = ({ provider, threads }: typeof usual): string => `${provider}, ${threads} at once`;
  if (base === undefined || best === undefined)
    return { kind: 'within-noise', reason: `the usual setting (${name(usual)}) was not measured beside the others` };
  if (best === base) return { kind: 'within-noise', reason: `the usual setting (${name(usual)}) is the fastest` };
  const gain = best.frames_per_s / base.frames_per_s - 1;
  const [worstOfBest] = best.frames_per_s_range;
  const [, bestOfBase] = base.frames_per_s_range;
  if (gain < leastGain || worstOfBest <= bestOfBase) {
    const percent = (gain * 100).toFixed(1);
    return {
      kind: 'within-noise',
      reason: `${name(best)} is ${percent} % above the usual setting (${name(usual)}), within what rounds differ by`,
    };
  }
  return { kind: 'better', row: best, gain };
}
