import type { Clock } from '#shared/core/clock';
import type { FrameTimes, SampledFrame } from '#shared/core/frame';
import { frameHeader } from '#shared/core/frame-header';
import { toPictureBox, type placeImage } from '#shared/core/inference-geometry';
import type {
  AccountingRecord,
  Decision,
  DetectedObjectRecord,
  DetectionFrame,
  ModelRecord,
  ProducerRecord,
  TimingRecord,
} from '#schemas';
import { detectionStride } from './core/detections.ts';
import type { InferenceEngine } from './core/ports.ts';

export interface RecordChange {
  readonly failureCode?: string;
  readonly objects?: readonly DetectedObjectRecord[];
  readonly accounting?: AccountingRecord;
  readonly timing?: Omit<TimingRecord, 'capture_to_result'>;
}

export type MakeRecord = (
  frame: SampledFrame,
  model: ModelRecord,
  decision: Decision,
  change: RecordChange,
) => DetectionFrame;

export function createRecordMaker({ producer, clock }: { producer: ProducerRecord; clock: Clock }): MakeRecord {
  return (frame, model, decision, change) => {
    const nowUs = clock.nowUs();
    return {
      header: frameHeader(frame, model.digest, nowUs, producer),
      frame_width_px: frame.sourceWidthPx,
      frame_height_px: frame.sourceHeightPx,
      decision,
      failure_code: change.failureCode ?? null,
      model,
      objects: change.objects ?? [],
      motion: frame.motion,
      // A shadow accounts for nothing: its frame is in the sums of the camera's own record.
      accounting:
        model.role === 'SHADOW' ? accountingOfNone(frame.accounting) : (change.accounting ?? frame.accounting),
      timing_ms:
        change.timing === undefined
          ? null
          : { ...change.timing, capture_to_result: (nowUs - latencyStartUs(frame.times)) / 1000 },
    };
  };
}

export function modelRecordOf({ manifest, digest, runtime }: InferenceEngine): ModelRecord {
  return {
    name: manifest.name,
    version: manifest.version,
    digest,
    runtime,
    precision: manifest.precision,
    input_width_px: manifest.input.widthPx,
    input_height_px: manifest.input.heightPx,
    role: 'PRIMARY',
  };
}

export function objectsOf(
  boxes: Float32Array,
  placed: ReturnType<typeof placeImage>,
  crop: SampledFrame['crop'] | null,
  labels: readonly string[],
): DetectedObjectRecord[] {
  const objects: DetectedObjectRecord[] = [];
  for (let at = 0; at + detectionStride <= boxes.length; at += detectionStride) {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, confidence = 0, classId = 0] = boxes.subarray(at, at + detectionStride);
    const bbox = toPictureBox({ x1, y1, x2, y2 }, placed, crop ?? null);
    // A box that lies wholly in the padding is none.
    if (bbox !== null)
      objects.push({ class_id: classId, class_name: labels[classId] ?? String(classId), confidence, bbox });
  }
  return objects;
}

/** Ingest counted this frame as analysed; it turned out otherwise, and the sum has to stay. */
export function movedTo(
  accounting: AccountingRecord,
  field: 'frames_failed' | 'frames_dropped_deadline' | 'frames_dropped_ingest',
): AccountingRecord {
  return { ...accounting, frames_analysed: accounting.frames_analysed - 1, [field]: accounting[field] + 1 };
}

function accountingOfNone(accounting: AccountingRecord): AccountingRecord {
  return {
    ...accounting,
    ...{ frames_received: 0, frames_analysed: 0, frames_filtered: 0, frames_dropped_ingest: 0 },
    ...{ frames_dropped_deadline: 0, frames_failed: 0, drops_by_reason: {}, decode_errors: 0 },
  };
}

/** A recording was made long ago: what its age is at the end says nothing about us, so its time counts from ingest. */
function latencyStartUs(times: FrameTimes): number {
  return times.captureTimeSource === 'CONTAINER' ? times.ingestTimeUs : times.captureTimeUs;
}
