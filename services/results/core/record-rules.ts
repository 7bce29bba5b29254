import type { BoundingBoxRecord, DetectedObjectRecord, DetectionFrame } from '../../../schemas/index.ts';
import { messageId } from '../../shared/core/message-id.ts';

/** What can be wrong with results. `order`, `gap` and `epoch_end` speak of a record among others, the rest of one record alone. */
export type VerifyRule =
  | 'order'
  | 'gap'
  | 'epoch_end'
  | 'sum'
  | 'drops_by_reason'
  | 'decision'
  | 'shadow'
  | 'message_id'
  | 'model'
  | 'time'
  | 'box'
  | 'embedding'
  | 'unreadable';

export type Report = (rule: VerifyRule, text: string) => void;

// Boxes are 32-bit floats, so x + width may pass 1 by rounding alone.
const boxTolerance = 1e-5;
// A wall clock may be set while frames are on their way; NTP slews what is less and steps what is more.
const clockToleranceUs = 1_000_000;
// Of 2048 numbers that were rounded to 32 bits.
const lengthTolerance = 1e-3;

/** Checks everything that one record promises by itself. */
export function checkRecord(record: DetectionFrame, report: Report): void {
  checkSums(record, report);
  checkDecision(record, report);
  checkIdentity(record, report);
  checkTimes(record, report);
  checkBoxes(record, report);
}

/** The record of a model that only looks on: it accounts for nothing, since the camera's own record does. */
export function checkShadow(record: DetectionFrame, report: Report): void {
  const { accounting, decision } = record;
  const {
    target_fps: _target,
    effective_fps: _effective,
    load_state: _load,
    drops_by_reason: drops,
    ...counts
  } = accounting;
  if (Object.values(counts).some((count) => count !== 0) || Object.keys(drops).length > 0)
    report('shadow', 'it accounts for frames, which the record of the camera does already');
  if (decision !== 'ANALYSED' && decision !== 'FAILED') report('shadow', `it is ${decision}`);
  checkIdentity(record, report);
  checkTimes(record, report);
  checkBoxes(record, report);
}

function checkSums({ accounting }: DetectionFrame, report: Report): void {
  const {
    frames_received,
    frames_analysed,
    frames_filtered,
    frames_dropped_ingest,
    frames_dropped_deadline,
    frames_failed,
  } = accounting;
  const parts = [frames_analysed, frames_filtered, frames_dropped_ingest, frames_dropped_deadline, frames_failed];
  const sum = parts.reduce((total, part) => total + part, 0);
  if (sum !== frames_received || parts.some((part) => part < 0)) {
    report('sum', `${frames_received} frames received, but ${parts.join(' + ')} = ${sum} accounted for`);
  }
  const byReason = Object.entries(accounting.drops_by_reason);
  const dropped = byReason.reduce((total, [, frames]) => total + frames, 0);
  if (dropped !== frames_dropped_ingest || byReason.some(([, frames]) => frames < 0)) {
    report(
      'drops_by_reason',
      `${frames_dropped_ingest} frames dropped at ingest, but the reasons add up to ${dropped}`,
    );
  }
}

function checkDecision(record: DetectionFrame, report: Report): void {
  const { decision, accounting } = record;
  const { frames_analysed: analysed, frames_dropped_deadline: expired, frames_failed: failed } = accounting;
  const expect = (holds: boolean, text: string): void => {
    if (!holds) report('decision', `${decision}, but ${text}`);
  };
  const expectFate = (wanted: { analysed: number; expired: number; failed: number }): void =>
    expect(
      analysed === wanted.analysed && expired === wanted.expired && failed === wanted.failed,
      `frames_analysed is ${analysed}, frames_dropped_deadline ${expired}, frames_failed ${failed}`,
    );
  switch (decision) {
    case 'ANALYSED':
      expectFate({ analysed: 1, expired: 0, failed: 0 });
      expect(record.timing_ms !== null, 'timing_ms is null');
      break;
    case 'EXPIRED':
      expectFate({ analysed: 0, expired: 1, failed: 0 });
      break;
    case 'FAILED':
      expectFate({ analysed: 0, expired: 0, failed: 1 });
      expect(record.failure_code !== null, 'failure_code is null');
      break;
    case 'FILTERED_MOTION':
      expectFate({ analysed: 0, expired: 0, failed: 0 });
      expect(accounting.frames_filtered >= 1, 'frames_filtered is 0');
      break;
    case 'DROPPED':
      expectFate({ analysed: 0, expired: 0, failed: 0 });
      expect(accounting.frames_dropped_ingest >= 1, 'frames_dropped_ingest is 0');
      break;
    case 'UNKNOWN':
      expect(false, 'every frame has a known fate');
      break;
  }
  if (decision !== 'ANALYSED') expect(record.objects.length === 0, `it holds ${record.objects.length} objects`);
  if (decision !== 'FAILED') expect(record.failure_code === null, 'failure_code is set');
}

function checkIdentity({ header, model }: DetectionFrame, report: Report): void {
  if (!/^[0-9a-f]{64}$/.test(model.digest)) report('model', 'the digest of the model is not a sha256');
  if (model.name === '') report('model', 'the model has no name');
  if (header.message_id !== messageId(header.camera_id, header.epoch, header.frame_seq, model.digest)) {
    report('message_id', `${header.message_id} is not the id of this camera, epoch, frame and model`);
  }
}

function checkTimes({ header }: DetectionFrame, report: Report): void {
  const { capture_time, capture_time_error_ms, capture_time_source, ingest_time, publish_time } = header;
  if (ingest_time > publish_time + clockToleranceUs) {
    report('time', `published ${toMs(ingest_time - publish_time)} ms before it was ingested`);
  }
  // A file's own time runs at another pace than ours, and without an error bound nothing was promised.
  if (capture_time_source === 'CONTAINER' || capture_time_error_ms === null) return;
  if (capture_time - capture_time_error_ms * 1000 > publish_time + clockToleranceUs) {
    report(
      'time',
      `published ${toMs(capture_time - publish_time)} ms before it was captured (± ${capture_time_error_ms} ms)`,
    );
  }
}

function toMs(us: number): number {
  return Math.round(us / 1000);
}

function checkBoxes(record: DetectionFrame, report: Report): void {
  record.objects.forEach((object, index) => {
    if (!isInPicture(object.bbox)) report('box', `object ${index} (${object.class_name}) reaches out of the picture`);
    if (!(object.confidence >= 0 && object.confidence <= 1)) {
      report('box', `object ${index} (${object.class_name}) has confidence ${object.confidence}`);
    }
    checkEmbedding(object, `object ${index} (${object.class_name})`, report);
  });
  record.motion?.regions.forEach((region, index) => {
    if (!isInPicture(region)) report('box', `motion region ${index} reaches out of the picture`);
  });
}

function checkEmbedding(
  { embedding, embedding_model: model }: DetectedObjectRecord,
  what: string,
  report: Report,
): void {
  if ((embedding === null) !== (model === null))
    report('embedding', `${what} has an embedding and no model of it, or the reverse`);
  const length = Math.hypot(...(embedding ?? [1]));
  if (!(Math.abs(length - 1) <= lengthTolerance)) report('embedding', `${what} has an embedding of length ${length}`);
}

function isInPicture({ x, y, width, height }: BoundingBoxRecord): boolean {
  const low = -boxTolerance;
  const high = 1 + boxTolerance;
  return x >= low && y >= low && width >= 0 && height >= 0 && x + width <= high && y + height <= high;
}
