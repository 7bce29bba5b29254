import { describe, expect, it } from 'vitest';
import { jsonLines, textLines } from '../../../cli/results/record-lines.ts';
import { makeCameraStatus, makeDetectionFrame, makeObject, makeOtherFate } from '../../support/result-records.ts';

const detections = {
  schema: 'detection-frame',
  records: [
    makeDetectionFrame({ record: { objects: [makeObject(), makeObject({ class_name: 'car' }), makeObject()] } }),
    makeDetectionFrame({ header: { camera_id: 'yard' }, record: { objects: [] } }),
    makeOtherFate('EXPIRED', { frame_seq: 2 }),
    makeOtherFate('FAILED', { frame_seq: 3 }),
  ],
} as const;
const statuses = {
  schema: 'camera-status',
  records: [
    makeCameraStatus(),
    makeCameraStatus({ state: 'OFFLINE', reason_code: 'TIMEOUT', reason_text: 'it does not answer' }),
  ],
} as const;

describe('lines of records', () => {
  it('say what was seen, by class, or what became of the frame', () => {
    expect(textLines(detections, undefined)).toEqual([
      '2026-11-23T06:00:00.200Z  gate  person 2, car 1\n',
      '2026-11-23T06:00:00.200Z  yard  -\n',
      '2026-11-23T06:00:00.400Z  gate  expired\n',
      '2026-11-23T06:00:00.600Z  gate  failed: SIGHTLINE_INTERNAL\n',
    ]);
  });

  it('say how a camera is, and why', () => {
    expect(textLines(statuses, undefined)).toEqual([
      '2026-11-23T06:00:00.000Z  gate  camera ONLINE\n',
      '2026-11-23T06:00:00.000Z  gate  camera OFFLINE (TIMEOUT: it does not answer)\n',
    ]);
  });

  it('are of one camera where one is asked for', () => {
    expect(textLines(detections, 'yard')).toHaveLength(1);
    expect(jsonLines(detections, 'yard')).toHaveLength(1);
    expect(jsonLines(statuses, 'yard')).toHaveLength(0);
  });
});
