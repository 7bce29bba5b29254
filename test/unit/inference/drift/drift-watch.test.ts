import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createMetricStore } from '#shared/core/metric-store';
import { renderPrometheusText } from '#shared/core/prometheus-text';
import { meanBrightness } from '../../../../services/inference/core/drift/brightness.ts';
import { populationStabilityIndex } from '../../../../services/inference/core/drift/psi.ts';
import { createDriftWatch, type DriftChange } from '../../../../services/inference/drift-watch.ts';
import { openKeptDriftWatch } from '../../../../cli/models/drift.ts';
import { createLogKeeper, machineClock } from '../../../support/inference-doubles.ts';

test('the index is the one of its definition, up to the half sample that each bin gets', () => {
  // (0.3 - 0.5) ln(0.3 / 0.5) + (0.7 - 0.5) ln(0.7 / 0.5)
  expect(populationStabilityIndex([5e6, 5e6], [3e6, 7e6])).toBeCloseTo(0.16946, 4);
  expect(populationStabilityIndex([500, 0, 300], [500, 0, 300])).toBe(0);
});

test('brightness is that of luma, or of green', () => {
  const size = { widthPx: 64, heightPx: 48 };
  const yuv = new Uint8Array((64 * 48 * 3) / 2).fill(128);
  yuv.fill(90, 0, 64 * 48);
  expect(meanBrightness({ format: 'yuv420p', ...size, data: yuv })).toBe(90);
  const rgb = Uint8Array.from({ length: 64 * 48 * 3 }, (_, at) => (at % 3 === 1 ? 77 : 0));
  expect(meanBrightness({ format: 'rgb24', ...size, data: rgb })).toBe(77);
});

test('a drift is a metric, one line of the log, and told to whoever keeps events', () => {
  const metrics = createMetricStore();
  const logger = createLogKeeper();
  const told: DriftChange[] = [];
  const windowMs = 8_000;
  const watch = createDriftWatch({
    windowMs,
    clock: machineClock,
    logger,
    metrics,
    onChange: (change) => told.push(change),
  });
  for (let timeMs = 0; timeMs < 4 * windowMs; timeMs += 10) {
    const brightness = timeMs < windowMs ? 150 : 30;
    watch.add({ cameraId: 'door', modelDigest: 'a', timeMs, objects: [], brightness });
  }
  expect(told).toMatchObject([{ cameraId: 'door', className: null, measure: 'brightness', change: 'started' }]);
  expect(logger.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  const text = renderPrometheusText(metrics.snapshot());
  expect(text).toMatch(/sightline_drift_psi\{camera="door",class="",measure="brightness"\} [1-9]/);
});

test('figures of a camera that another process follows from now on are not shown any more', () => {
  const metrics = createMetricStore();
  const watch = createDriftWatch({ windowMs: 8_000, clock: machineClock, logger: createLogKeeper(), metrics });
  for (let timeMs = 0; timeMs < 24_000; timeMs += 10)
    for (const cameraId of ['door', 'gate'])
      watch.add({ cameraId, modelDigest: 'a', timeMs, objects: [], brightness: 90 });
  watch.forget((id) => id === 'door');
  const text = renderPrometheusText(metrics.snapshot());
  expect(text).toContain('camera="gate"');
  expect(text).not.toContain('camera="door"');
  expect(watch.states().map(({ camera_id: id }) => id)).toEqual(['gate']);
});

test('figures of a camera that gives no frames any more are not shown for long, and are again when it does', () => {
  const metrics = createMetricStore();
  let nowMs = 0;
  const clock = { ...machineClock, monotonicMs: () => nowMs };
  const watch = createDriftWatch({ windowMs: 8_000, clock, logger: createLogKeeper(), metrics });
  const shown = (): string[] =>
    ['door', 'gate'].filter((id) => renderPrometheusText(metrics.snapshot()).includes(`camera="${id}"`));
  const see = (cameraId: string): void => {
    nowMs += 10;
    watch.add({ cameraId, modelDigest: 'a', timeMs: nowMs, objects: [], brightness: 90 });
  };
  while (nowMs < 40_000) ['door', 'gate'].forEach(see);
  expect(shown()).toEqual(['door', 'gate']);
  nowMs += 10 * 60_000;
  see('gate');
  nowMs += 10 * 60_000;
  expect(shown()).toEqual(['gate']);
  see('door');
  expect(shown()).toEqual(['door', 'gate']);
});

test('a run goes on with the reference of the run before it; a file that cannot be read costs the memory, not the run', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'drift-'));
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }));
  const windowMs = 8_000;
  const firstMs = Date.now();
  const run = async (fromMs: number, untilMs: number, brightness: number) => {
    const logger = createLogKeeper();
    const told: string[] = [];
    const watch = await openKeptDriftWatch({
      ...{ stateDir, windowHours: windowMs / 3_600_000, clock: machineClock, logger, metrics: createMetricStore() },
      onChange: ({ measure, change }) => told.push(`${measure} ${change}`),
    });
    for (let timeMs = firstMs + fromMs; timeMs < firstMs + untilMs; timeMs += 10)
      watch?.add({ cameraId: 'door', modelDigest: 'a', timeMs, objects: [], brightness });
    watch?.close();
    return { told, warnings: logger.lines.filter(({ level }) => level === 'warn').map(({ text }) => text) };
  };
  expect(await run(0, 9_500, 150)).toEqual({ told: [], warnings: [] });
  expect((await run(9_500, 18_000, 30)).told).toEqual(['brightness started']);
  expect((await run(18_000, 30_000, 30)).told).toEqual([]);
  expect((await run(30_000, 40_000, 150)).told).toEqual(['brightness ended']);
  writeFileSync(join(stateDir, 'drift.sqlite'), 'no database');
  expect((await run(40_000, 57_000, 150)).warnings).toEqual(['drift is followed in memory only']);
});
