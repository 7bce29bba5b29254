import type { LoadOptions } from './load-options.ts';
import type { LoadFigures } from './load-report.ts';

/** A figure of a run. */
export interface FigureLine {
  readonly name: string;
  readonly value: number | undefined;
  readonly baseline: number | undefined;
  /** The run's over the baseline's. */
  readonly ratio: number | undefined;
  readonly isRegression: boolean;
  readonly digits: number;
  readonly unit: string;
}

interface FigureKind {
  readonly better: 'more' | 'less' | 'neither';
  readonly digits: number;
  readonly unit?: string;
  /** A difference below it is chance, whatever the ratio. */
  readonly noise?: number;
}

/** The figures of a report, beside those of a baseline where there is one. Worse by more than `tolerance` of the baseline is a regression. */
export function figureLines(figures: LoadFigures, baseline?: LoadFigures, tolerance = 0.25): FigureLine[] {
  const lines: FigureLine[] = [];
  const add = (name: string, kind: FigureKind, read: (of: LoadFigures) => number | undefined): void => {
    const finite = (value: number | undefined): number | undefined => (Number.isFinite(value) ? value : undefined);
    const [value, before] = [finite(read(figures)), baseline === undefined ? undefined : finite(read(baseline))];
    const ratio = value === undefined || before === undefined || before === 0 ? undefined : value / before;
    const isRegression = value !== undefined && before !== undefined && isWorse(value, before, kind, tolerance);
    lines.push({ name, value, baseline: before, ratio, isRegression, digits: kind.digits, unit: kind.unit ?? '' });
  };
  add('results a second', { better: 'more', digits: 1 }, (of) => of.resultsPerSecond);
  add('offered, of what the accelerators can', { better: 'neither', digits: 3 }, (of) => of.offered);
  add('achieved, of what the accelerators can', { better: 'more', digits: 3 }, (of) => of.efficiency);
  const age = { better: 'less', digits: 0, unit: ' ms', noise: 20 } as const;
  add('age p50', age, (of) => of.ageMs.p50);
  add('age p95', age, (of) => of.ageMs.p95);
  add('age p99', age, (of) => of.ageMs.p99);
  const still = { better: 'less', digits: 1, unit: ' s', noise: 1.5 } as const;
  add('longest standstill', still, (of) => of.longestStandstillS);
  for (const fault of Object.keys(figures.longestSilenceS))
    add(`longest silence of a camera after ${fault}`, still, (of) => of.longestSilenceS[fault]);
  const cpu = { better: 'less', digits: 2, unit: ' ms', noise: 0.2 } as const;
  for (const group of Object.keys(figures.cpuMsPerResult))
    add(`CPU of ${group} a result`, cpu, (of) => of.cpuMsPerResult[group]);
  const memory = { better: 'less', digits: 0, unit: ' MB', noise: 30 } as const;
  for (const group of Object.keys(figures.peakRssMb))
    add(`memory of ${group}, most`, memory, (of) => of.peakRssMb[group]);
  add('lag, most', { better: 'less', digits: 0, unit: ' frames', noise: 100 }, (of) => of.peakLag);
  for (const reason of Object.keys(figures.droppedByReason))
    add(
      `dropped: ${reason}`,
      { better: 'less', digits: 0, unit: ' frames', noise: 100 },
      (of) => of.droppedByReason[reason] ?? 0,
    );
  return lines;
}

function isWorse(value: number, before: number, { better, noise = 0 }: FigureKind, tolerance: number): boolean {
  if (better === 'neither' || Math.abs(value - before) <= noise) return false;
  return better === 'more' ? value < before * (1 - tolerance) : value > before * (1 + tolerance);
}

/** What has to be the same for two runs to be compared. */
const load = [
  ...(['cameras', 'source', 'ingests', 'workers', 'workersPerProcess', 'model', 'fps'] as const),
  ...(['simulatedMs', 'frameBytes', 'deadlineMs', 'partitions', 'sessionS', 'redis', 'faults'] as const),
];

/** The options in which the load of two runs differs. */
export function differingOptions(one: Partial<LoadOptions>, other: Partial<LoadOptions>): string[] {
  return load.filter((name) => JSON.stringify(one[name] ?? null) !== JSON.stringify(other[name] ?? null));
}

/** `12.3 ms`; empty where there is none. */
export function figureText(value: number | undefined, { digits, unit }: FigureLine): string {
  return value === undefined ? '' : `${value.toFixed(digits)}${unit}`;
}
