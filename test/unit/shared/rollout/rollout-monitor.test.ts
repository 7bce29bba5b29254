import { expect, test } from 'vitest';
import type { DetectionFrame } from '#schemas';
import { RolloutMonitor } from '#shared/core/rollout/rollout-monitor';
import { initialRollout, type ModelRef } from '#shared/core/rollout/rollout-state';
import { makeDetectionFrame, makeObject, makeOtherFate } from '../../../support/result-records.ts';
import { makeCommand, makeModelRef, rolledTo } from '../../../support/rollout-doubles.ts';

const [active, next] = [makeModelRef('a'), makeModelRef('b')];
const started = rolledTo(initialRollout, makeCommand('activate', { model: active }));
const rules = { minFrames: 3, minObjects: 1 };
const none = { frames_received: 0, frames_analysed: 0, frames_filtered: 0 };

function record(
  model: ModelRef,
  role: 'PRIMARY' | 'SHADOW',
  frameSeq: number,
  rest: { camera?: string; inference?: number; objects?: DetectionFrame['objects'] } = {},
): DetectionFrame {
  const made = makeDetectionFrame({
    header: { camera_id: rest.camera ?? 'door', frame_seq: frameSeq },
    model: { ...model, role },
    ...(role === 'SHADOW' ? { accounting: none } : {}),
    record: { objects: rest.objects ?? [makeObject()] },
  });
  const { timing_ms: timing } = made;
  return { ...made, timing_ms: timing === null ? null : { ...timing, inference: rest.inference ?? 20 } };
}

function watching(mode: 'shadow' | 'canary'): RolloutMonitor {
  const monitor = new RolloutMonitor();
  monitor.follow(rolledTo(started, makeCommand(mode, { model: next, cameras: ['door'], gate: rules })));
  return monitor;
}

test('pairs the records of one frame, whichever comes first, and says by camera and class how they agree', () => {
  const monitor = watching('shadow');
  for (let frame = 1; frame <= 4; frame++) {
    const pair = [
      record(active, 'PRIMARY', frame),
      record(next, 'SHADOW', frame, frame === 4 ? { objects: [makeObject({ class_name: 'car' })] } : {}),
    ];
    for (const each of frame % 2 === 0 ? pair : pair.reverse()) monitor.add(each);
  }
  const report = monitor.report();
  expect(report?.comparedFrames).toBe(4);
  expect(report?.rows).toEqual([
    { cameraId: 'door', className: 'car', matched: 0, onlyActive: 0, onlyCandidate: 1, ratio: 0 },
    { cameraId: 'door', className: 'person', matched: 3, onlyActive: 1, onlyCandidate: 0, ratio: 6 / 7 },
  ]);
  expect(report?.agreement).toBeCloseTo(6 / 8);
  expect(report?.gate.verdict).toBe('pass');
});

test('a canary that takes twice as long fails by its latency', () => {
  const monitor = watching('canary');
  for (let frame = 1; frame <= 3; frame++) {
    monitor.add(record(next, 'PRIMARY', frame, { inference: 60 }));
    monitor.add(record(active, 'SHADOW', frame, { inference: 30 }));
  }
  const gate = monitor.report()?.gate;
  expect(gate?.verdict).toBe('fail');
  expect(gate?.reason).toMatch(/p95 61\.3 ms is 1\.96/);
});

test('a canary whose frames fail is found out before all frames are in', () => {
  const monitor = watching('canary');
  const failed = makeOtherFate('FAILED', { camera_id: 'door', frame_seq: 1 });
  monitor.add({ ...failed, model: { ...failed.model, ...next } });
  expect(monitor.report()?.gate).toMatchObject({ verdict: 'fail' });
});

test('drops on its cameras are held against those of the others', () => {
  const monitor = watching('shadow');
  const expired = (camera: string, frame: number) => makeOtherFate('EXPIRED', { camera_id: camera, frame_seq: frame });
  for (let frame = 1; frame <= 3; frame++) {
    monitor.add(record(active, 'PRIMARY', frame));
    monitor.add(record(next, 'SHADOW', frame));
    monitor.add(record(active, 'PRIMARY', frame, { camera: 'yard' }));
  }
  monitor.add(expired('yard', 4));
  expect(monitor.report()?.gate.verdict).toBe('pass');
  monitor.add(expired('door', 4));
  monitor.add(expired('door', 5));
  expect(monitor.report()?.gate.checks.at(-1)).toMatchObject({ name: 'drops', verdict: 'fail', value: 0.4 - 0.25 });
});

test('says nothing without a candidate, and begins anew with another one', () => {
  const monitor = new RolloutMonitor();
  monitor.follow(started);
  monitor.add(record(active, 'PRIMARY', 1));
  expect(monitor.report()).toBeUndefined();
  const shadow = rolledTo(started, makeCommand('shadow', { model: next, share: 1, gate: rules }));
  monitor.follow(shadow);
  monitor.add(record(next, 'SHADOW', 1));
  monitor.follow(rolledTo(shadow, makeCommand('canary', { model: next, share: 1 })));
  expect(monitor.report()?.gate.checks[0]).toMatchObject({ name: 'frames', value: 0, limit: 3 });
});

test('a half whose other half never comes is forgotten', () => {
  const monitor = watching('shadow');
  for (let frame = 1; frame <= 2_000; frame++) monitor.add(record(active, 'PRIMARY', frame));
  monitor.add(record(next, 'SHADOW', 1));
  expect(monitor.report()?.comparedFrames).toBe(0);
  monitor.add(record(next, 'SHADOW', 2_000));
  expect(monitor.report()?.comparedFrames).toBe(1);
});
