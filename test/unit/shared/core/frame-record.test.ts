import { describe, expect, test } from 'vitest';
import { recordTypes } from '#shared/codec/record-codec';
import type { SampledFrame } from '#shared/core/frame';
import { fromFrameRecord, toFrameRecord } from '#shared/core/frame-record';
import { ManualClock, producer } from '../../../support/ingest-doubles.ts';

const frame: SampledFrame = {
  cameraId: 'gate',
  epoch: 7,
  frameSeq: 3,
  fate: 'analyse',
  times: {
    captureTimeUs: 1_700_000_000_000_000,
    captureTimeSource: 'RTCP_SR',
    captureTimeErrorMs: 2.5,
    ingestTimeUs: 1_700_000_000_020_000,
    ptsUs: null,
  },
  sourceWidthPx: 1920,
  sourceHeightPx: 1080,
  image: { format: 'jpeg', widthPx: 416, heightPx: 234, data: Uint8Array.of(0xff, 0xd8, 0xff, 0xd9) },
  crop: { x: 0.25, y: 0, width: 0.5, height: 1 },
  motion: { score: 0.125, regions: [] },
  accounting: {
    frames_received: 3,
    frames_analysed: 1,
    frames_filtered: 1,
    frames_dropped_ingest: 1,
    frames_dropped_deadline: 0,
    frames_failed: 0,
    drops_by_reason: { ring_full: 1 },
    decode_errors: 0,
    target_fps: 5,
    effective_fps: 5,
    load_state: 'SHEDDING',
  },
  deadlineMs: 1_500,
  priority: 2,
  tags: { site: 'north' },
};

function overTheWire(sent: SampledFrame, from: ManualClock, to: ManualClock): SampledFrame {
  const bytes = recordTypes.frame.encode(toFrameRecord(sent, producer, from));
  const decoded = recordTypes.frame.decode(bytes, 0);
  if (decoded === undefined) throw new Error('the record is not whole');
  return fromFrameRecord(decoded.value, to);
}

describe('a frame on its way between processes', () => {
  test('arrives as it was', () => {
    const clock = new ManualClock();
    const { image, ...arrived } = overTheWire(frame, clock, clock);
    const { image: sentImage, ...sent } = frame;
    expect(arrived).toEqual(sent);
    expect({ ...image, data: [...(image?.data ?? [])] }).toEqual({ ...sentImage, data: [...(sentImage?.data ?? [])] });
  });

  test('keeps its deadline though the other process has another monotonic clock', async () => {
    const [sender, receiver] = [new ManualClock(), new ManualClock()];
    await sender.advance(500);
    await receiver.advance(500);
    const other = { nowUs: () => receiver.nowUs(), monotonicMs: () => 90_000, sleep: receiver.sleep.bind(receiver) };
    const record = toFrameRecord(frame, producer, sender);
    expect(fromFrameRecord(record, other).deadlineMs).toBeCloseTo(91_000, 3);
  });

  test('without a picture closes an epoch', () => {
    const clock = new ManualClock();
    const closing: SampledFrame = { ...frame, fate: 'dropped', image: null, motion: null, deadlineMs: null };
    expect(overTheWire(closing, clock, clock)).toMatchObject({ fate: 'dropped', image: null, deadlineMs: null });
  });

  test.each([
    ['a fate of a later version', { fate: 'UNKNOWN' }],
    [
      'another kind of picture',
      { image: { media_type: 'image/svg+xml', width_px: 1, height_px: 1, bytes: Buffer.alloc(1) } },
    ],
    ['no number', { header: { ...toFrameRecord(frame, producer, new ManualClock()).header, frame_seq: 0 } }],
  ] as const)('is refused with %s', (_, change) => {
    const record = { ...toFrameRecord(frame, producer, new ManualClock()), ...change };
    expect(() => fromFrameRecord(record, new ManualClock())).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_RECORD_UNDECODABLE' }),
    );
  });
});
