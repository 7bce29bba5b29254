import type { CameraStatus, Decision, DetectedObjectRecord, DetectionFrame } from '#schemas';
import { messageId } from '#shared/core/message-id';

/** 2026-11-23T06:00:00Z in microseconds; all made records count from here. */
export const startTimeUs = Date.UTC(2026, 10, 23, 6) * 1000;
const digest = 'ab'.repeat(32);

export interface DetectionFrameChanges {
  readonly header?: Partial<DetectionFrame['header']>;
  readonly accounting?: Partial<DetectionFrame['accounting']>;
  readonly model?: Partial<DetectionFrame['model']>;
  readonly record?: Partial<Omit<DetectionFrame, 'header' | 'accounting' | 'model'>>;
}

/** A right record: the first frame of the first epoch of camera `gate`, analysed. Its id fits whatever identity is asked for. */
export function makeDetectionFrame(changes: DetectionFrameChanges = {}): DetectionFrame {
  const model: DetectionFrame['model'] = {
    name: 'yolox_nano',
    version: '1.0.0',
    digest,
    runtime: 'onnxruntime-cpu',
    precision: 'FP32',
    input_width_px: 416,
    input_height_px: 416,
    role: 'PRIMARY',
    ...changes.model,
  };
  const identity = { camera_id: 'gate', epoch: 1, frame_seq: 1, ...changes.header };
  const captureTime = startTimeUs + identity.frame_seq * 200_000;
  const received = changes.accounting?.frames_received ?? 1;
  return {
    header: {
      message_id: messageId(identity.camera_id, identity.epoch, identity.frame_seq, model.digest),
      camera_id: identity.camera_id,
      epoch: identity.epoch,
      frame_seq: identity.frame_seq,
      capture_time: captureTime,
      capture_time_source: 'ARRIVAL',
      capture_time_error_ms: 40,
      ingest_time: captureTime + 5_000,
      publish_time: captureTime + 50_000,
      pts_us: identity.frame_seq * 200_000,
      producer: { service: 'inference', instance_id: 'a1', version: '0.1.0' },
      tags: { site: 'north' },
      ...changes.header,
    },
    frame_width_px: 1920,
    frame_height_px: 1080,
    decision: 'ANALYSED',
    failure_code: null,
    model,
    objects: [makeObject()],
    motion: { score: 0.25, regions: [{ x: 0.25, y: 0.25, width: 0.5, height: 0.5 }] },
    accounting: {
      frames_received: received,
      frames_analysed: 1,
      frames_filtered: received - 1,
      frames_dropped_ingest: 0,
      frames_dropped_deadline: 0,
      frames_failed: 0,
      drops_by_reason: {},
      decode_errors: 0,
      target_fps: 5,
      effective_fps: 5,
      load_state: 'NORMAL',
      ...changes.accounting,
    },
    timing_ms: { queue: 2, preprocess: 0.5, inference: 24, postprocess: 0.75, capture_to_result: 50 },
    ...changes.record,
  };
}

export function makeObject(changes: Partial<DetectedObjectRecord> = {}): DetectedObjectRecord {
  return {
    class_id: 0,
    class_name: 'person',
    confidence: 0.875,
    bbox: { x: 0.125, y: 0.25, width: 0.0625, height: 0.5 },
    keypoints: [],
    embedding: null,
    embedding_model: null,
    ...changes,
  };
}

/** A right record of a frame that came to another end than being analysed. */
export function makeOtherFate(
  decision: Exclude<Decision, 'ANALYSED' | 'UNKNOWN'>,
  header: Partial<DetectionFrame['header']>,
): DetectionFrame {
  return makeDetectionFrame({
    header,
    accounting: {
      frames_received: 1,
      frames_analysed: 0,
      frames_filtered: decision === 'FILTERED_MOTION' ? 1 : 0,
      frames_dropped_ingest: decision === 'DROPPED' ? 1 : 0,
      drops_by_reason: decision === 'DROPPED' ? { ring_full: 1 } : {},
      frames_dropped_deadline: decision === 'EXPIRED' ? 1 : 0,
      frames_failed: decision === 'FAILED' ? 1 : 0,
    },
    record: {
      decision,
      failure_code: decision === 'FAILED' ? 'SIGHTLINE_INTERNAL' : null,
      objects: [],
      motion: null,
      timing_ms: null,
    },
  });
}

export function makeCameraStatus(changes: Partial<CameraStatus> = {}): CameraStatus {
  return {
    message_id: 'c2d5a1de-7a4c-5a3e-9a86-0b6f3a7d9c11',
    camera_id: 'gate',
    epoch: 1,
    frame_seq: 1,
    time: startTimeUs,
    state: 'ONLINE',
    previous_state: 'CONNECTING',
    state_since: startTimeUs,
    reason_code: 'NONE',
    reason_text: '',
    codec: 'h264',
    width_px: 1920,
    height_px: 1080,
    declared_fps: 25,
    measured_fps: 24.5,
    clock_source: 'ARRIVAL',
    reconnect_count: 0,
    next_retry_at: null,
    backoff_ms: null,
    last_frame_time: startTimeUs,
    time_to_first_result_ms: 812.5,
    producer: { service: 'ingest', instance_id: 'a1', version: '0.1.0' },
    tags: { site: 'north' },
    ...changes,
  };
}
