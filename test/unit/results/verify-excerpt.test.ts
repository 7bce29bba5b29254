import { describe, expect, test } from 'vitest';
import type { CameraStatus, DetectionFrame } from '#schemas';
import { createVerifyFold, type Excerpt, type VerifyReport } from '../../../services/results/core/verify.ts';
import { makeCameraStatus, makeDetectionFrame, startTimeUs } from '../../support/result-records.ts';

const minuteUs = 60_000_000;

function verify(
  records: readonly DetectionFrame[],
  statuses: readonly CameraStatus[],
  excerpt: Excerpt,
  atLeastOnce = false,
): VerifyReport {
  const fold = createVerifyFold({ maxListedViolations: 20, excerpt, atLeastOnce });
  for (const status of statuses) fold.addStatus(status);
  for (const record of records) fold.addDetection(record, 'sightline.detections/0');
  return fold.report();
}

function frame(frameSeq: number, epoch = 1, received = 1): DetectionFrame {
  return makeDetectionFrame({ header: { frame_seq: frameSeq, epoch }, accounting: { frames_received: received } });
}

function closed(frameSeq: number, time: number, epoch = 1): CameraStatus {
  return makeCameraStatus({ state: 'OFFLINE', epoch, frame_seq: frameSeq, time });
}

const midway: Excerpt = { startsMidway: true, endTimeUs: startTimeUs + 10 * minuteUs };
const whole: Excerpt = { ...midway, startsMidway: false };

describe('records that begin midway', () => {
  test('the first record of a camera may stand anywhere in its epoch, the next ones have to follow it', () => {
    expect(verify([frame(41), frame(42)], [], midway).holds).toBe(true);
    expect(verify([frame(41), frame(43)], [], midway).violations).toMatchObject([{ rule: 'gap', frame_seq: 43 }]);
    expect(verify([frame(41)], [], whole).violations).toMatchObject([{ rule: 'gap' }]);
  });

  test('the first record cannot account for more frames than its epoch has', () => {
    expect(verify([frame(3, 1, 4)], [], midway).violations).toMatchObject([{ rule: 'gap' }]);
  });

  test('statuses of epochs before the first record are passed over, later ones are not', () => {
    const statuses = [closed(9, startTimeUs, 1), closed(5, startTimeUs, 3)];
    const report = verify([frame(4, 2), frame(1, 4)], statuses, midway);
    expect(report.violations).toMatchObject([{ rule: 'epoch_end', epoch: 3 }]);
  });

  test('a camera of which only statuses are read is passed over', () => {
    expect(verify([], [closed(9, startTimeUs)], midway).holds).toBe(true);
    expect(verify([], [closed(9, startTimeUs)], whole).holds).toBe(false);
  });
});

describe('records that are still written to', () => {
  test('frames which a status spoke of within the last minute may follow: the epoch is open', () => {
    const late = closed(5, midway.endTimeUs - minuteUs / 2);
    const report = verify([frame(1)], [late], whole);
    expect(report).toMatchObject({ holds: true, cameras: [{ open_epochs: 1, closed_epochs: 0 }] });
    expect(verify([], [late], whole).holds).toBe(true);
  });

  test('frames which a status spoke of earlier are missing, however often it is told again', () => {
    const statuses = [closed(5, midway.endTimeUs - 2 * minuteUs), closed(5, midway.endTimeUs)];
    expect(verify([frame(1)], statuses, whole).violations).toMatchObject([{ rule: 'epoch_end' }]);
  });

  test('records beyond what the status says are wrong at any time', () => {
    const report = verify([frame(1), frame(2)], [closed(1, midway.endTimeUs)], whole);
    expect(report.violations).toMatchObject([{ rule: 'epoch_end' }]);
  });

  test('an epoch that a later one has followed can have no more frames', () => {
    const report = verify([frame(1), frame(1, 2)], [closed(5, midway.endTimeUs)], whole);
    expect(report.violations).toMatchObject([{ rule: 'epoch_end', epoch: 1 }]);
  });
});

describe('records that come again', () => {
  const records = [frame(1), frame(2), frame(3), frame(2), frame(3), frame(4)];

  test('are violations where each has to come once', () => {
    expect(verify(records, [], whole)).toMatchObject({ holds: false, violation_count: 2, repeats: 0 });
  });

  test('are counted and left out where the writer delivers at least once', () => {
    expect(verify(records, [], whole, true)).toMatchObject({ holds: true, records: 4, frames_received: 4, repeats: 2 });
  });

  test('are told from records out of order', () => {
    expect(verify([frame(1), frame(3, 1, 2), frame(2)], [], whole, true).violations).toMatchObject([{ rule: 'order' }]);
  });
});
