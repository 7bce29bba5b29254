import { describe, expect, test } from 'vitest';
import type { CameraStatus, DetectionFrame } from '#schemas';
import { createVerifyFold, type VerifyReport } from '../../../services/results/core/verify.ts';
import {
  makeCameraStatus,
  makeDetectionFrame,
  makeObject,
  makeOtherFate,
  startTimeUs,
} from '../../support/result-records.ts';

function verify(records: readonly DetectionFrame[], statuses: readonly CameraStatus[] = []): VerifyReport {
  const fold = createVerifyFold({ maxListedViolations: 20 });
  for (const status of statuses) fold.addStatus(status);
  for (const record of records) fold.addDetection(record, 'out.avro');
  return fold.report();
}

function rules(report: VerifyReport): string[] {
  return report.violations.map(({ rule }) => rule);
}

function frame(frameSeq: number, received = 1, epoch = 1): DetectionFrame {
  return makeDetectionFrame({ header: { frame_seq: frameSeq, epoch }, accounting: { frames_received: received } });
}

describe('results that hold', () => {
  test('every fate of a frame, gaps accounted for, two epochs and two cameras', () => {
    const report = verify(
      [
        frame(1),
        frame(4, 3),
        makeDetectionFrame({ header: { camera_id: 'yard' } }),
        makeOtherFate('EXPIRED', { frame_seq: 5 }),
        makeOtherFate('FAILED', { frame_seq: 6 }),
        makeOtherFate('FILTERED_MOTION', { frame_seq: 7 }),
        makeOtherFate('DROPPED', { frame_seq: 1, epoch: 3 }),
        frame(5, 4, 3),
      ],
      [
        makeCameraStatus({ state: 'OFFLINE', epoch: 1, frame_seq: 7 }),
        makeCameraStatus({ state: 'ENDED', epoch: 3, frame_seq: 5 }),
      ],
    );
    expect(report).toMatchObject({ holds: true, records: 8, frames_received: 13, statuses: 2, violation_count: 0 });
    expect(report.cameras).toMatchObject([
      {
        camera_id: 'gate',
        epochs: 2,
        frames_received: 12,
        frames_analysed: 3,
        frames_filtered: 6,
        frames_dropped: 1,
        frames_expired: 1,
        frames_failed: 1,
        closed_epochs: 2,
        open_epochs: 0,
      },
      { camera_id: 'yard', epochs: 1, frames_received: 1, open_epochs: 1 },
    ]);
  });

  test('nothing at all', () => {
    expect(verify([])).toMatchObject({ holds: true, records: 0 });
  });

  test('a closing status that comes between the last record and the next epoch', () => {
    const fold = createVerifyFold({ maxListedViolations: 20 });
    fold.addDetection(frame(1), 'out.jsonl');
    fold.addStatus(makeCameraStatus({ state: 'OFFLINE', frame_seq: 2 }));
    fold.addDetection(frame(2), 'out.jsonl');
    fold.addStatus(makeCameraStatus({ state: 'OFFLINE', frame_seq: 2 }));
    fold.addDetection(frame(1, 1, 2), 'out.jsonl');
    fold.addStatus(makeCameraStatus({ state: 'OFFLINE', frame_seq: 2 }));
    expect(fold.report()).toMatchObject({ holds: true, cameras: [{ closed_epochs: 1, open_epochs: 1 }] });
  });

  test('an epoch that ended before its first frame', () => {
    expect(verify([], [makeCameraStatus({ state: 'OFFLINE', epoch: 1, frame_seq: 0 })]).holds).toBe(true);
  });

  test('a torn end is told and does not count against them', () => {
    const fold = createVerifyFold({ maxListedViolations: 20 });
    fold.addDetection(frame(1), 'out.avro');
    fold.addOpenEnd({ file: 'out.avro', at_byte: 99, reason: 'the last block is not whole' });
    expect(fold.report()).toMatchObject({ holds: true, open_ends: [{ file: 'out.avro', at_byte: 99 }] });
  });

  test('capture times of a file, which run at another pace than the clock', () => {
    const header = {
      capture_time: startTimeUs + 3_600_000_000,
      capture_time_source: 'CONTAINER',
      capture_time_error_ms: 1,
    } as const;
    expect(verify([makeDetectionFrame({ header })]).holds).toBe(true);
  });
});

describe('a planted fault is found', () => {
  const right = makeDetectionFrame();
  const inPicture = makeObject().bbox;
  const faults: [string, readonly DetectionFrame[], string][] = [
    ['a repeated record', [frame(1), frame(1)], 'order'],
    ['records in the wrong order', [frame(1), frame(3, 2), frame(2)], 'order'],
    ['an epoch that comes back', [frame(1, 1, 2), frame(1, 1, 1)], 'order'],
    ['a lost record in the middle', [frame(1), frame(3)], 'gap'],
    ['a lost first record of an epoch', [frame(2)], 'gap'],
    ['more frames told than there are', [frame(1), frame(2, 2)], 'gap'],
    [
      'a frame that is in no count',
      [makeDetectionFrame({ header: { frame_seq: 2 }, accounting: { frames_received: 2, frames_filtered: 0 } })],
      'sum',
    ],
    [
      'a negative count',
      [
        makeDetectionFrame({
          accounting: { frames_filtered: -1, frames_dropped_ingest: 1, drops_by_reason: { ring_full: 1 } },
        }),
      ],
      'sum',
    ],
    [
      'a drop without a reason',
      [
        makeDetectionFrame({
          header: { frame_seq: 2 },
          accounting: { frames_received: 2, frames_filtered: 0, frames_dropped_ingest: 1 },
        }),
      ],
      'drops_by_reason',
    ],
    [
      'a reason without a drop',
      [makeDetectionFrame({ accounting: { drops_by_reason: { oversize: 1 } } })],
      'drops_by_reason',
    ],
    [
      'an analysed frame that counts as filtered',
      [makeDetectionFrame({ accounting: { frames_analysed: 0, frames_filtered: 1 } })],
      'decision',
    ],
    ['an analysed frame without timing', [makeDetectionFrame({ record: { timing_ms: null } })], 'decision'],
    [
      'an analysed frame with a failure code',
      [makeDetectionFrame({ record: { failure_code: 'SIGHTLINE_INTERNAL' } })],
      'decision',
    ],
    [
      'an expired frame that counts as analysed',
      [makeDetectionFrame({ record: { decision: 'EXPIRED', objects: [] } })],
      'decision',
    ],
    [
      'a failed frame that counts as analysed',
      [makeDetectionFrame({ record: { decision: 'FAILED', objects: [], failure_code: 'X' } })],
      'decision',
    ],
    ['a failed frame without a code', [{ ...makeOtherFate('FAILED', {}), failure_code: null }], 'decision'],
    [
      'a filtered closing record that counts nothing as filtered',
      [{ ...makeOtherFate('DROPPED', {}), decision: 'FILTERED_MOTION' }],
      'decision',
    ],
    [
      'a dropped closing record that counts nothing as dropped',
      [{ ...makeOtherFate('FILTERED_MOTION', {}), decision: 'DROPPED' }],
      'decision',
    ],
    [
      'a closing record that counts an analysed frame',
      [
        makeDetectionFrame({
          header: { frame_seq: 2 },
          accounting: { frames_received: 2 },
          record: { decision: 'FILTERED_MOTION', objects: [] },
        }),
      ],
      'decision',
    ],
    [
      'objects in a frame that no model saw',
      [{ ...makeOtherFate('EXPIRED', {}), objects: [makeObject()] }],
      'decision',
    ],
    [
      'a decision that nobody knows',
      [makeDetectionFrame({ record: { decision: 'UNKNOWN', objects: [] } })],
      'decision',
    ],
    [
      'the id of another frame',
      [
        makeDetectionFrame({
          header: { message_id: makeDetectionFrame({ header: { frame_seq: 2 } }).header.message_id },
        }),
      ],
      'message_id',
    ],
    ['the id of another model', [{ ...right, model: { ...right.model, digest: 'cd'.repeat(32) } }], 'message_id'],
    ['a digest that is none', [makeDetectionFrame({ model: { digest: 'latest' } })], 'model'],
    ['a model without a name', [makeDetectionFrame({ model: { name: '' } })], 'model'],
    ['a result before its frame', [makeDetectionFrame({ header: { publish_time: startTimeUs - 2_000_000 } })], 'time'],
    [
      'a capture later than its result allows',
      [makeDetectionFrame({ header: { capture_time: startTimeUs + 60_000_000 } })],
      'time',
    ],
    [
      'a box that reaches out to the right',
      [makeDetectionFrame({ record: { objects: [makeObject({ bbox: { ...inPicture, x: 0.95 } })] } })],
      'box',
    ],
    [
      'a box that reaches out above',
      [makeDetectionFrame({ record: { objects: [makeObject({ bbox: { ...inPicture, y: -0.1 } })] } })],
      'box',
    ],
    [
      'a box of negative size',
      [makeDetectionFrame({ record: { objects: [makeObject({ bbox: { ...inPicture, height: -0.1 } })] } })],
      'box',
    ],
    [
      'a motion region out of the picture',
      [makeDetectionFrame({ record: { motion: { score: 0, regions: [{ x: 0, y: 0, width: 2, height: 1 }] } } })],
      'box',
    ],
    ['a confidence above 1', [makeDetectionFrame({ record: { objects: [makeObject({ confidence: 1.5 })] } })], 'box'],
  ];
  test.each(faults)('%s', (_what, records, rule) => {
    const report = verify(records);
    expect(report.holds).toBe(false);
    expect(rules(report)).toContain(rule);
    expect(report.violations[0]).toMatchObject({ file: 'out.avro', camera_id: 'gate' });
  });

  test('records that end before the frame that a status closed the epoch at', () => {
    const report = verify([frame(1)], [makeCameraStatus({ state: 'ENDED', frame_seq: 3 })]);
    expect(report.violations).toMatchObject([{ rule: 'epoch_end', epoch: 1, frame_seq: 1 }]);
  });

  test('records that go on after the frame that a status closed the epoch at', () => {
    expect(rules(verify([frame(1), frame(2)], [makeCameraStatus({ state: 'OFFLINE', frame_seq: 1 })]))).toEqual([
      'epoch_end',
    ]);
  });

  test('a status that comes after all records and tells of more frames', () => {
    const fold = createVerifyFold({ maxListedViolations: 20 });
    fold.addDetection(frame(1), 'out.jsonl');
    fold.addDetection(frame(1, 1, 2), 'out.jsonl');
    fold.addStatus(makeCameraStatus({ state: 'OFFLINE', epoch: 1, frame_seq: 5 }));
    expect(rules(fold.report())).toEqual(['epoch_end']);
  });

  test('a whole epoch without records', () => {
    const report = verify([frame(1, 1, 3)], [makeCameraStatus({ state: 'OFFLINE', epoch: 2, frame_seq: 9 })]);
    expect(report.violations).toMatchObject([{ rule: 'epoch_end', epoch: 2, frame_seq: null }]);
  });

  test('a file that cannot be read on', () => {
    const fold = createVerifyFold({ maxListedViolations: 20 });
    fold.addUnreadable('out.avro', 'a block does not end with the sync marker');
    expect(rules(fold.report())).toEqual(['unreadable']);
  });
});

test('one lost record is one violation, not one for every record after it', () => {
  const records = [1, 2, 3, 5, 6, 7].map((seq) => frame(seq));
  expect(verify(records).violation_count).toBe(1);
});

test('lists the first violations and counts them all', () => {
  const fold = createVerifyFold({ maxListedViolations: 2 });
  for (let index = 0; index < 5; index += 1) fold.addDetection(frame(1), 'out.avro');
  expect(fold.report()).toMatchObject({ violation_count: 4, cameras: [{ violations: 4 }] });
  expect(fold.report().violations).toHaveLength(2);
});

describe('an epoch that goes on after another has begun', () => {
  const stale = (frameSeq: number): DetectionFrame => makeOtherFate('DROPPED', { frame_seq: frameSeq, epoch: 1 });
  const ends = [
    makeCameraStatus({ state: 'ENDED', epoch: 1, frame_seq: 4 }),
    makeCameraStatus({ state: 'ENDED', epoch: 5, frame_seq: 2 }),
  ];

  test('holds where each of its frames is told as dropped, to the end that its ingest told', () => {
    const report = verify([frame(1), frame(2), frame(1, 1, 5), stale(3), frame(2, 1, 5), stale(4)], ends);
    expect(rules(report)).toEqual([]);
    expect(report.cameras).toMatchObject([{ frames_received: 6, frames_dropped: 2, closed_epochs: 2, open_epochs: 0 }]);
  });

  test('does not hold where it was analysed, skips a frame, comes twice or ends too early', () => {
    expect(rules(verify([frame(1), frame(1, 1, 5), frame(2)]))).toEqual(['order']);
    expect(rules(verify([frame(1), frame(1, 1, 5), stale(3)]))).toEqual(['gap']);
    expect(rules(verify([frame(1), frame(1, 1, 5), stale(2), stale(2)]))).toEqual(['order']);
    expect(rules(verify([frame(1), frame(2), frame(1, 1, 5), stale(3), frame(2, 1, 5)], ends))).toEqual(['epoch_end']);
  });
});

describe('records of a model in shadow', () => {
  const nothing = { frames_received: 0, frames_analysed: 0, frames_filtered: 0 };
  const shadow = (frameSeq: number, accounting = nothing) =>
    makeDetectionFrame({
      header: { frame_seq: frameSeq },
      model: { role: 'SHADOW', digest: 'cd'.repeat(32) },
      accounting,
    });

  test('stand anywhere beside those of the camera and account for nothing', () => {
    const report = verify([frame(1), shadow(1), frame(2), frame(3), shadow(3), shadow(2)]);
    expect(report).toMatchObject({ holds: true, shadows: 3, records: 3, frames_received: 3 });
  });

  test('are a violation where they account for frames', () => {
    expect(rules(verify([frame(1), shadow(1, { ...nothing, frames_received: 1, frames_analysed: 1 })]))).toEqual([
      'shadow',
    ]);
  });
});
