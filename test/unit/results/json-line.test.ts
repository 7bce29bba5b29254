import fc from 'fast-check';
import { expect, test } from 'vitest';
import { recordTypes } from '#shared/codec/record-codec';
import { shortestFloat, toJsonLine } from '../../../services/results/core/json-line.ts';
import { makeCameraStatus, makeDetectionFrame, makeObject } from '../../support/result-records.ts';

test('a line begins with its type', () => {
  expect(toJsonLine('detection_frame', makeDetectionFrame())).toMatch(/^\{"type":"detection_frame","header":\{/);
  expect(toJsonLine('camera_status', makeCameraStatus())).toMatch(/^\{"type":"camera_status","message_id":/);
});

test('a line holds exactly the numbers that Avro holds', () => {
  const record = makeDetectionFrame({
    record: {
      objects: [makeObject({ confidence: 0.1, bbox: { x: 1 / 3, y: 0.2, width: 0.3, height: Math.PI / 10 } })],
    },
  });
  const codec = recordTypes['detection-frame'];
  const fromAvro = codec.decode(codec.encode(record), 0)?.value;
  expect(fromAvro === undefined ? undefined : toJsonLine('detection_frame', fromAvro)).toBe(
    toJsonLine('detection_frame', record),
  );
  expect(toJsonLine('detection_frame', record)).toContain('"confidence":0.1,');
});

test('the short form of a float is the same float', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(Math.fround(shortestFloat(value)) === value).toBe(true);
    }),
  );
});
