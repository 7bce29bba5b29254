import { describe, expect, test } from 'vitest';
import type { CameraStatus, DetectionFrame } from '#schemas';
import { createAvroType } from '#shared/codec/avro-type';
import { recordTypes } from '#shared/codec/record-codec';
import { makeCameraStatus, makeDetectionFrame, makeObject } from '../../../support/result-records.ts';

const detections = recordTypes['detection-frame'];
const statuses = recordTypes['camera-status'];

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}

describe('records as Avro', () => {
  test('a detection frame comes back as it went in', () => {
    const record = makeDetectionFrame({ record: { objects: [makeObject(), makeObject({ class_name: 'Hünd 🐕' })] } });
    expect(plain(detections.decode(detections.encode(record), 0)?.value)).toEqual(record);
  });

  test('a detection frame with nothing but nulls and empty lists comes back as it went in', () => {
    const record = makeDetectionFrame({
      header: { capture_time_error_ms: null, pts_us: null, tags: {} },
      record: { objects: [], motion: null, timing_ms: null },
    });
    expect(plain(detections.decode(detections.encode(record), 0)?.value)).toEqual(record);
  });

  test('a camera status comes back as it went in', () => {
    const record = makeCameraStatus({ next_retry_at: 1_800_000_000_000_000, backoff_ms: 1500, codec: null });
    expect(plain(statuses.decode(statuses.encode(record), 0)?.value)).toEqual(record);
  });

  test('the end of the bytes within a record is told, not thrown', () => {
    const bytes = detections.encode(makeDetectionFrame());
    for (let length = 0; length < bytes.length; length += 1) {
      expect(detections.decode(bytes.subarray(0, length), 0)).toBeUndefined();
    }
  });

  test('a target that is too small is told, not thrown', () => {
    expect(detections.encodeInto(makeDetectionFrame(), Buffer.alloc(10), 0)).toBeLessThan(0);
  });
});

describe('a record that consumers could not read is refused with the name of the field', () => {
  const damaged: [string, DetectionFrame, string][] = [
    [
      'NaN in a box',
      makeDetectionFrame({
        record: { objects: [makeObject(), makeObject({ bbox: { x: NaN, y: 0, width: 0, height: 0 } })] },
      }),
      'objects.1.bbox.x',
    ],
    [
      'infinity in a nullable float',
      makeDetectionFrame({ header: { capture_time_error_ms: Infinity } }),
      'header.capture_time_error_ms',
    ],
    [
      'NaN in a nullable record',
      makeDetectionFrame({ record: { motion: { score: NaN, regions: [] } } }),
      'motion.score',
    ],
    [
      'NaN in a region of motion',
      makeDetectionFrame({ record: { motion: { score: 0, regions: [{ x: 0, y: 0, width: -Infinity, height: 0 }] } } }),
      'motion.regions.0.width',
    ],
    ['a time beyond 2^53', makeDetectionFrame({ header: { capture_time: 2 ** 60 } }), 'header.capture_time'],
    ['half a microsecond', makeDetectionFrame({ header: { publish_time: 0.5 } }), 'header.publish_time'],
    ['NaN as a count', makeDetectionFrame({ accounting: { frames_failed: NaN } }), 'accounting.frames_failed'],
    [
      'a count beyond 32 bits',
      makeDetectionFrame({ accounting: { frames_filtered: 2 ** 31 } }),
      'accounting.frames_filtered',
    ],
    // What a program without our types could hand over.
    [
      'a symbol that is none',
      { ...makeDetectionFrame(), decision: 'SKIPPED' } as unknown as DetectionFrame,
      'decision',
    ],
    ['a missing field', { ...makeDetectionFrame(), header: undefined } as unknown as DetectionFrame, 'header'],
  ];
  test.each(damaged)('%s', (_what, record, field) => {
    expect(() => detections.encode(record)).toThrow(
      expect.objectContaining({
        code: 'SIGHTLINE_RESULTS_RECORD_INVALID',
        message: expect.stringContaining(field) as string,
      }),
    );
    expect(() => detections.encodeInto(record, Buffer.alloc(10_000), 0)).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_RESULTS_RECORD_INVALID' }),
    );
  });

  test('NaN in a camera status', () => {
    const record: CameraStatus = makeCameraStatus({ measured_fps: NaN });
    expect(() => statuses.encode(record)).toThrow('measured_fps');
  });
});

test('bytes that are not a record are an error of ours, whatever they are', () => {
  const bytes = detections.encode(makeDetectionFrame());
  let refused = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0xff, at);
    try {
      detections.decode(damaged, 0);
    } catch (error) {
      expect(error).toMatchObject({ code: 'SIGHTLINE_RESULTS_UNREADABLE' });
      refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(0);
});

test('two schemas that do not fit are refused when reading begins', () => {
  const text = createAvroType<string>('string');
  expect(() => text.reading('boolean')).toThrow(expect.objectContaining({ code: 'SIGHTLINE_RESULTS_UNREADABLE' }));
});
