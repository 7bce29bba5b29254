import { expect, test } from 'vitest';
import { createRunSummary } from '../../../services/results/core/run-summary.ts';
import { makeDetectionFrame, makeObject, makeOtherFate, startTimeUs } from '../../support/result-records.ts';

test('adds up frames by fate, objects by class and drops by reason of each camera', () => {
  const fold = createRunSummary();
  fold.add(makeDetectionFrame({ header: { camera_id: 'yard' } }));
  fold.add(
    makeDetectionFrame({
      header: { frame_seq: 5 },
      accounting: {
        frames_received: 5,
        frames_filtered: 1,
        frames_dropped_ingest: 3,
        drops_by_reason: { ring_full: 2, paused: 1 },
        decode_errors: 4,
      },
      record: { objects: [makeObject(), makeObject(), makeObject({ class_name: 'car' })] },
    }),
  );
  fold.add(makeOtherFate('EXPIRED', { frame_seq: 6 }));
  fold.add(makeOtherFate('FAILED', { frame_seq: 7 }));
  fold.add(makeOtherFate('DROPPED', { frame_seq: 1, epoch: 2 }));
  const { cameras, records } = fold.summary();
  expect(records).toBe(5);
  expect(cameras.map(({ camera_id }) => camera_id)).toEqual(['gate', 'yard']);
  expect(cameras[0]).toMatchObject({
    epochs: 2,
    frames_received: 8,
    frames_analysed: 1,
    frames_filtered: 1,
    frames_dropped: 4,
    drops_by_reason: { ring_full: 3, paused: 1 },
    frames_expired: 1,
    frames_failed: 1,
    decode_errors: 4,
    objects: 3,
    objects_by_class: { person: 2, car: 1 },
  });
});

test('tells the rate by camera time and by our own, without the pause between epochs', () => {
  const fold = createRunSummary();
  for (const epoch of [1, 2]) {
    for (let seq = 1; seq <= 11; seq += 1) {
      const pauseUs = epoch * 3_600_000_000;
      fold.add(
        makeDetectionFrame({
          header: {
            epoch,
            frame_seq: seq,
            capture_time: startTimeUs + pauseUs + seq * 200_000,
            publish_time: startTimeUs + pauseUs + seq * 20_000,
          },
        }),
      );
    }
  }
  expect(fold.summary().cameras[0]).toMatchObject({ fps: 5, processing_fps: 50 });
});

test('has no rate of a single frame', () => {
  const fold = createRunSummary();
  fold.add(makeDetectionFrame());
  expect(fold.summary().cameras[0]).toMatchObject({ fps: null, processing_fps: null });
});

test('tells the latency within one per cent', () => {
  const fold = createRunSummary();
  for (let seq = 1; seq <= 100; seq += 1) {
    const timing = { queue: 1, preprocess: 0.5, inference: 20, postprocess: 0.25, capture_to_result: seq };
    fold.add(makeDetectionFrame({ header: { frame_seq: seq }, record: { timing_ms: timing } }));
  }
  const [camera] = fold.summary().cameras;
  for (const [value, exact] of [
    [camera?.latency_ms.p50, 50],
    [camera?.latency_ms.p95, 95],
    [camera?.latency_ms.p99, 99],
    [camera?.timing_ms.inference.p99, 20],
  ] as const) {
    expect(Math.abs((value ?? NaN) - exact)).toBeLessThanOrEqual(exact * 0.0101);
  }
});

test('shares the measured CPU time among analysed frames', () => {
  const fold = createRunSummary();
  for (let seq = 1; seq <= 4; seq += 1) fold.add(makeDetectionFrame({ header: { frame_seq: seq } }));
  fold.add(makeOtherFate('EXPIRED', { camera_id: 'yard' }));
  expect(fold.summary({ cpuMs: 120 }).cameras.map((camera) => camera.cpu_ms_per_analysed_frame)).toEqual([30, null]);
  expect(fold.summary().cameras[0]?.cpu_ms_per_analysed_frame).toBeNull();
});

test('what a model in shadow saw is no result of the camera', () => {
  const fold = createRunSummary();
  fold.add(makeDetectionFrame());
  fold.add(makeDetectionFrame({ model: { role: 'SHADOW', digest: 'cd'.repeat(32) } }));
  expect(fold.summary()).toMatchObject({ records: 2, cameras: [{ frames_analysed: 1, objects: 1 }] });
});
