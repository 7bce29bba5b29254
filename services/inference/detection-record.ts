import type { Clock } from '#shared/core/clock';
import type { FrameTimes, SampledFrame } from '#shared/core/frame';
import { frameHeader } from '#shared/core/frame-header';
import { toPictureBox, toPicturePoint, type placeImage } from '#shared/core/inference-geometry';
import type {
  AccountingRecord,
  Decision,
  DetectedObjectRecord,
  DetectionFrame,
  KeypointRecord,
  ModelRecord,
  ProducerRecord,
  TimingRecord,
} from '#schemas';
import { detectionStride, keypointStride, noScore } from './core/detections.ts';
import type { ImageDetections, InferenceEngine } from './core/ports.ts';

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

/** What the names of an object's parts come from. */
export interface ObjectNames {
  readonly labels: readonly string[];
  readonly keypoints: readonly string[];
  readonly embeddingModel: string | null;
}

export function objectsOf(
  found: Pick<ImageDetections, 'boxes' | 'keypoints' | 'embeddings'>,
  placed: ReturnType<typeof placeImage>,
  crop: SampledFrame['crop'] | null,
  names: ObjectNames,
): DetectedObjectRecord[] {
  const { boxes, keypoints, embeddings } = found;
  const objects: DetectedObjectRecord[] = [];
  const keypointValues = names.keypoints.length * keypointStride;
  for (let index = 0; (index + 1) * detectionStride <= boxes.length; index++) {
    const box = boxes.subarray(index * detectionStride, (index + 1) * detectionStride);
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, confidence = 0, classId = 0] = box;
    const bbox = toPictureBox({ x1, y1, x2, y2 }, placed, crop ?? null);
    // A box that lies wholly in the padding is none.
    if (bbox === null) continue;
    const vector = embeddings[index] ?? null;
    objects.push({
      class_id: classId,
      class_name: names.labels[classId] ?? String(classId),
      confidence,
      bbox,
      keypoints: names.keypoints.map((name, point): KeypointRecord => {
        const from = index * keypointValues + point * keypointStride;
        const [x = 0, y = 0, score = noScore] = keypoints.subarray(from, from + keypointStride);
        return {
          name,
          ...toPicturePoint({ x, y }, placed, crop ?? null),
          confidence: score === noScore ? null : score,
        };
      }),
      embedding: vector === null ? null : Array.from(vector),
      embedding_model: vector === null ? null : names.embeddingModel,
    });
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
