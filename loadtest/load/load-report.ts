import type { LoadOptions } from './load-options.ts';

/** What one second of a run showed. */
export interface LoadSample {
  /** Seconds since measuring began; below 0 while warming up. */
  readonly atS: number;
  readonly results: number;
  readonly agesMs: readonly number[];
  readonly dropped: Readonly<Record<string, number>>;
  /** Cores, by process. */
  readonly cpu: Readonly<Record<string, number>>;
  readonly rssMb: Readonly<Record<string, number>>;
  /** Frames on the broker that are not committed; undefined where it did not answer. */
  readonly lag: number | undefined;
}

export interface LoadAccounting {
  /** Frames that the cameras had, dropped ones included; of cameras by RTSP those that the records speak of. */
  readonly framesSent: number;
  readonly framesInResults: number;
  readonly records: number;
  readonly cameras: number;
  readonly lost: number;
  readonly repeated: number;
  readonly reordered: number;
  /** Times that a camera went on with a new epoch: it was connected anew, by the same ingest or by another. */
  readonly newEpochs: number;
  /** Found by the code of `sightline results verify` in the topics. */
  readonly violationCount: number;
  /** Camera and account of the first ones. */
  readonly violations: readonly string[];
}

export interface LoadEvent {
  readonly atS: number;
  readonly text: string;
  /** What was done to the run, or what a process said. */
  readonly kind: 'fault' | 'words';
}

/** How long a camera was without results after a fault, at most. */
export interface LoadSilence {
  readonly fault: string;
  readonly longestS: number;
  readonly camera: string;
}

export interface LoadRun {
  readonly startedAt: string;
  readonly options: LoadOptions;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly samples: readonly LoadSample[];
  readonly events: readonly LoadEvent[];
  readonly silences: readonly LoadSilence[];
  readonly accounting: LoadAccounting;
}

export interface LoadFigures {
  readonly resultsPerSecond: number;
  /** Results a second over what the workers' accelerators could do. */
  readonly efficiency: number;
  /** Frames a second that the cameras offer, over the same. */
  readonly offered: number;
  readonly ageMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly longestStandstillS: number;
  readonly droppedByReason: Readonly<Record<string, number>>;
  /** CPU of a process group for each result, ms. */
  readonly cpuMsPerResult: Readonly<Record<string, number>>;
  readonly peakRssMb: Readonly<Record<string, number>>;
  readonly peakLag: number;
  /** Seconds, by fault. */
  readonly longestSilenceS: Readonly<Record<string, number>>;
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** `worker 3` and `worker 4` are both `worker`. */
export function groupOf(process: string): string {
  return process.replace(/ \d+$/, '');
}

export function figuresOf(run: LoadRun): LoadFigures {
  const measured = run.samples.filter(({ atS }) => atS > 0);
  const first = run.samples.findLast(({ atS }) => atS <= 0);
  const fromS = first?.atS ?? 0;
  const seconds = (measured.at(-1)?.atS ?? fromS) - fromS;
  const results = measured.reduce((sum, sample) => sum + sample.results, 0);
  const ages = measured.flatMap(({ agesMs }) => agesMs).toSorted((one, other) => one - other);
  const { workers, simulatedMs, cameras, fps } = run.options;
  const capacity = (workers * 1_000) / simulatedMs;
  const dropped: Record<string, number> = {};
  const cpuS: Record<string, number> = {};
  const peakRssMb: Record<string, number> = {};
  let [beforeS, standstillS, longestStandstillS] = [fromS, 0, 0];
  for (const sample of measured) {
    const lengthS = sample.atS - beforeS;
    beforeS = sample.atS;
    standstillS = sample.results > 0 ? 0 : standstillS + lengthS;
    longestStandstillS = Math.max(longestStandstillS, standstillS);
    for (const [reason, count] of Object.entries(sample.dropped)) dropped[reason] = (dropped[reason] ?? 0) + count;
    for (const [name, cores] of Object.entries(sample.cpu))
      cpuS[groupOf(name)] = (cpuS[groupOf(name)] ?? 0) + cores * lengthS;
    const rss: Record<string, number> = {};
    for (const [name, mb] of Object.entries(sample.rssMb)) rss[groupOf(name)] = (rss[groupOf(name)] ?? 0) + mb;
    for (const [group, mb] of Object.entries(rss)) peakRssMb[group] = Math.max(peakRssMb[group] ?? 0, mb);
  }
  return {
    resultsPerSecond: results / seconds,
    efficiency: results / seconds / capacity,
    offered: (cameras * fps) / capacity,
    ageMs: { p50: quantile(ages, 0.5), p95: quantile(ages, 0.95), p99: quantile(ages, 0.99) },
    longestStandstillS,
    droppedByReason: dropped,
    cpuMsPerResult: Object.fromEntries(
      Object.entries(cpuS).map(([group, spentS]) => [group, results === 0 ? 0 : (spentS * 1_000) / results]),
    ),
    peakRssMb,
    peakLag: Math.max(0, ...measured.map(({ lag }) => lag ?? 0)),
    longestSilenceS: Object.fromEntries(run.silences.map(({ fault, longestS }) => [fault, longestS])),
  };
}

/** A run without a record shows nothing. */
export function accountHolds({ records, lost, repeated, reordered, violationCount }: LoadAccounting): boolean {
  return records > 0 && lost === 0 && repeated === 0 && reordered === 0 && violationCount === 0;
}
