import { Type } from 'typebox';
import { nullable, strict } from './common.ts';

/** The records of the topics as JSON: the same names as in the .avsc files; times are microseconds since 1970-01-01 UTC. */

const Fraction = Type.Number({ minimum: 0, maximum: 1 });
export const BoundingBox = strict(
  { x: Fraction, y: Fraction, width: Fraction, height: Fraction },
  { title: 'BoundingBox', description: 'Fractions of the picture.' },
);
const Micros = Type.Integer({ description: 'Microseconds since 1970-01-01 UTC.' });
const Tags = Type.Record(Type.String(), Type.String());
const Producer = strict({ service: Type.String(), instance_id: Type.String(), version: Type.String() });
const nullableNumber = nullable(Type.Number());

export const DetectionFrameRecord = Type.Object(
  {
    header: Type.Object({
      message_id: Type.String({ description: 'The same as on the topic: the key to drop repeats by.' }),
      camera_id: Type.String(),
      epoch: Type.Integer(),
      frame_seq: Type.Integer(),
      capture_time: Micros,
      capture_time_source: Type.String(),
      capture_time_error_ms: nullableNumber,
      ingest_time: Micros,
      publish_time: Micros,
      pts_us: nullableNumber,
      producer: Producer,
      tags: Tags,
    }),
    frame_width_px: Type.Integer(),
    frame_height_px: Type.Integer(),
    decision: Type.String({ description: 'ANALYSED, FILTERED_MOTION, DROPPED, EXPIRED or FAILED.' }),
    failure_code: nullable(Type.String()),
    model: Type.Object({
      name: Type.String(),
      version: Type.String(),
      digest: Type.String(),
      runtime: Type.String(),
      precision: Type.String(),
      input_width_px: Type.Integer(),
      input_height_px: Type.Integer(),
      role: Type.String(),
    }),
    objects: Type.Array(
      Type.Object({
        class_id: Type.Integer(),
        class_name: Type.String(),
        confidence: Type.Number(),
        bbox: Type.Object({ x: Type.Number(), y: Type.Number(), width: Type.Number(), height: Type.Number() }),
        keypoints: Type.Array(
          Type.Object({
            name: Type.String(),
            x: Type.Number(),
            y: Type.Number(),
            confidence: nullable(Type.Number()),
          }),
        ),
        embedding: Type.Null({ description: 'Always null here: the vectors are on the topic and in files.' }),
        embedding_model: nullable(
          Type.String({ description: 'The model whose vector of this object is on the topic and in files.' }),
        ),
      }),
    ),
    motion: nullable(
      Type.Object({
        score: Type.Number(),
        regions: Type.Array(
          Type.Object({ x: Type.Number(), y: Type.Number(), width: Type.Number(), height: Type.Number() }),
        ),
      }),
    ),
    accounting: Type.Object({
      frames_received: Type.Integer(),
      frames_analysed: Type.Integer(),
      frames_filtered: Type.Integer(),
      frames_dropped_ingest: Type.Integer(),
      frames_dropped_deadline: Type.Integer(),
      frames_failed: Type.Integer(),
      drops_by_reason: Type.Record(Type.String(), Type.Integer()),
      decode_errors: Type.Integer(),
      target_fps: Type.Number(),
      effective_fps: Type.Number(),
      load_state: Type.String(),
    }),
    timing_ms: nullable(
      Type.Object({
        queue: Type.Number(),
        preprocess: Type.Number(),
        inference: Type.Number(),
        postprocess: Type.Number(),
        capture_to_result: Type.Number(),
      }),
    ),
  },
  { title: 'DetectionFrame', description: 'What came of one frame.' },
);

export const CameraStatusRecord = Type.Object(
  {
    message_id: Type.String(),
    camera_id: Type.String(),
    epoch: Type.Integer(),
    frame_seq: Type.Integer(),
    time: Micros,
    state: Type.String({ description: 'CONNECTING, ONLINE, DEGRADED, OFFLINE, ENDED, REJECTED.' }),
    previous_state: Type.String(),
    state_since: Micros,
    reason_code: Type.String(),
    reason_text: Type.String({ description: 'In words, what happened and what to do.' }),
    codec: nullable(Type.String()),
    width_px: nullable(Type.Integer()),
    height_px: nullable(Type.Integer()),
    declared_fps: nullableNumber,
    measured_fps: nullableNumber,
    clock_source: Type.String(),
    reconnect_count: Type.Integer(),
    next_retry_at: nullable(Micros),
    backoff_ms: nullableNumber,
    last_frame_time: nullable(Micros),
    time_to_first_result_ms: nullableNumber,
    producer: Producer,
    tags: Tags,
  },
  { title: 'CameraStatus', description: 'State of a camera, with the reason in words.' },
);
