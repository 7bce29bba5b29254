import { describe, expect, it } from 'vitest';
import { differingOptions, figureLines } from '../../../loadtest/load/load-figures.ts';
import { parseLoadOptions } from '../../../loadtest/load/load-options.ts';
import { reportPage } from '../../../loadtest/load/load-report-page.ts';
import { accountHolds, figuresOf, type LoadRun } from '../../../loadtest/load/load-report.ts';

function runOf(): LoadRun {
  const options = parseLoadOptions(['--cameras', '4', '--fps', '5', '--workers', '2', '--simulated-ms', '50']);
  if (options === undefined) throw new Error('no options');
  const sample = (atS: number, results: number) => ({
    atS,
    results,
    agesMs: Array.from({ length: results }, (_, index) => index + 1),
    dropped: results === 0 ? {} : { deadline: 1 },
    cpu: { 'worker 1': 0.2, 'worker 2': 0.1 },
    rssMb: { 'worker 1': 100, 'worker 2': 80 },
    lag: 3,
  });
  return {
    startedAt: '2026-01-01T00:00:00.000Z',
    options,
    machine: { processor: '<script>' },
    samples: [sample(-1, 99), sample(0, 99), sample(1, 20), sample(2, 0), sample(3, 40)],
    events: [{ atS: 1.5, text: 'kill & restart', kind: 'fault' }],
    silences: [{ fault: 'kill-worker', longestS: 2.5, camera: 'load-1' }],
    accounting: {
      ...{ framesSent: 60, framesInResults: 60, records: 60, cameras: 4 },
      ...{ lost: 0, repeated: 0, reordered: 0, newEpochs: 0, violationCount: 0, violations: [] },
    },
  };
}

describe('report of a load test', () => {
  it('counts the measured seconds only', () => {
    const figures = figuresOf(runOf());
    expect(figures.resultsPerSecond).toBeCloseTo(20);
    expect(figures.efficiency).toBeCloseTo(0.5);
    expect(figures.offered).toBeCloseTo(0.5);
    expect(figures.longestStandstillS).toBeCloseTo(1);
    expect(figures.droppedByReason).toEqual({ deadline: 2 });
    expect(figures.cpuMsPerResult['worker']).toBeCloseTo(15);
    expect(figures.peakRssMb['worker']).toBe(180);
  });

  it('gives each figure over that of the baseline, and tells what is worse by more than the tolerance', () => {
    const figures = figuresOf(runOf());
    const faster = { ...figures, resultsPerSecond: 30, ageMs: { p50: figures.ageMs.p50 - 5, p95: 1, p99: 1 } };
    const lines = figureLines(figures, faster, 0.25);
    expect(lines[0]).toMatchObject({ name: 'results a second', baseline: 30, isRegression: true });
    expect(lines[0]?.ratio).toBeCloseTo(2 / 3);
    // Five milliseconds are chance, however large the ratio.
    expect(lines.filter(({ isRegression }) => isRegression).map(({ name }) => name)).toEqual([
      'results a second',
      'age p95',
      'age p99',
    ]);
    expect(figureLines(figures, faster, 60).some(({ isRegression }) => isRegression)).toBe(false);
  });

  it('finds no regression where everything became better', () => {
    const figures = figuresOf(runOf());
    const slower = { ...figures, resultsPerSecond: 1, efficiency: 0.01, longestSilenceS: { 'kill-worker': 60 } };
    expect(figureLines(figures, slower).some(({ isRegression }) => isRegression)).toBe(false);
  });

  it('names the options in which another run had another load', () => {
    const { options } = runOf();
    expect(differingOptions(options, { ...options, durationS: 5, out: 'elsewhere' })).toEqual([]);
    expect(differingOptions(options, { ...options, cameras: 5, faults: ['kill-worker'] })).toEqual([
      'cameras',
      'faults',
    ]);
  });

  it('is one page of its own, with what comes from outside escaped', () => {
    const page = reportPage(runOf(), figureLines(figuresOf(runOf())));
    expect(page).not.toContain('<script');
    expect(page).not.toMatch(/(src|href)=/);
    expect(page).toContain('kill &amp; restart');
    expect(page.match(/<svg/g)?.length).toBe(6);
  });

  it('holds only where nothing is lost, repeated or out of order', () => {
    const { accounting } = runOf();
    expect(accountHolds(accounting)).toBe(true);
    for (const name of ['lost', 'repeated', 'reordered', 'violationCount'])
      expect(accountHolds({ ...accounting, [name]: 1 })).toBe(false);
  });

  it('refuses numbers out of range by name', () => {
    expect(() => parseLoadOptions(['--cameras', '0'])).toThrow(/--cameras/);
    expect(() => parseLoadOptions(['--fault', 'fire'])).toThrow(/kill-worker/);
    expect(() => parseLoadOptions(['--fault', 'kill-ingest'])).toThrow(/--source rtsp/);
    expect(parseLoadOptions(['--help'])).toBeUndefined();
  });

  it('takes faults one after another, and starts a Redis where one is to be harmed', () => {
    expect(parseLoadOptions(['--fault', 'kill-worker,redis-freeze'])).toMatchObject({
      faults: ['kill-worker', 'redis-freeze'],
      redis: true,
    });
  });
});
