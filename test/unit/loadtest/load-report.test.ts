import { describe, expect, it } from 'vitest';
import { parseLoadOptions } from '../../../loadtest/load/load-options.ts';
import { reportPage } from '../../../loadtest/load/load-report-page.ts';
import { accountHolds, figureLines, figuresOf, type LoadRun } from '../../../loadtest/load/load-report.ts';

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
    events: [{ atS: 1.5, text: 'kill & restart' }],
    accounting: { framesSent: 60, framesInResults: 60, lost: 0, repeated: 0, reordered: 0, violations: [] },
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

  it('shows a baseline beside the run', () => {
    const figures = figuresOf(runOf());
    const lines = figureLines(figures, { ...figures, resultsPerSecond: 10 });
    expect(lines[0]).toEqual(['results a second', '20.0', '10.0']);
  });

  it('is one page of its own, with what comes from outside escaped', () => {
    const page = reportPage(runOf());
    expect(page).not.toContain('<script');
    expect(page).not.toMatch(/(src|href)=/);
    expect(page).toContain('kill &amp; restart');
    expect(page.match(/<svg/g)?.length).toBe(6);
  });

  it('holds only where nothing is lost, repeated or out of order', () => {
    const { accounting } = runOf();
    expect(accountHolds(accounting)).toBe(true);
    for (const name of ['lost', 'repeated', 'reordered'])
      expect(accountHolds({ ...accounting, [name]: 1 })).toBe(false);
  });

  it('refuses numbers out of range by name', () => {
    expect(() => parseLoadOptions(['--cameras', '0'])).toThrow(/--cameras/);
    expect(() => parseLoadOptions(['--fault', 'fire'])).toThrow(/kill-worker/);
    expect(parseLoadOptions(['--help'])).toBeUndefined();
  });
});
