import { expect, test } from 'vitest';
import { reportCameras } from '../../../cli/run/run-report.ts';
import { createRunSummary } from '../../../services/results/core/run-summary.ts';
import { makeDetectionFrame } from '../../support/result-records.ts';

test('cameras that were removed while it ran are in the report, after those that are there', () => {
  const summary = createRunSummary();
  for (const camera of ['gone', 'there']) summary.add(makeDetectionFrame({ header: { camera_id: camera } }));
  const snapshot = {
    ...{ id: 'there', state: 'ONLINE', reason: 'NONE', reasonText: '', errorCode: null, reconnects: 2 },
    ...{ fps: 5, received: 1, filtered: 0, dropped: {}, progress: null, epoch: 1 },
  };
  // Only what the report reads.
  const report = reportCameras([snapshot as never], summary.summary());
  expect(report.map(({ camera_id, state, frames_analysed }) => [camera_id, state, frames_analysed])).toEqual([
    ['there', 'ONLINE', 1],
    ['gone', 'DELETED', 1],
  ]);
});
