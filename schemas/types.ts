/**
 * The records of our topics as TypeScript sees them: the same names as in the .avsc files, so that what is written, what a consumer
 * reads and what the JSON lines show is one thing. Times are microseconds since 1970-01-01 UTC; boxes are fractions of the picture, 0..1.
 */

export type CaptureTimeSource = 'UNKNOWN' | 'RTCP_SR' | 'CONTAINER' | 'ARRIVAL';
export type LoadState = 'UNKNOWN' | 'NORMAL' | 'REDUCED' | 'SHEDDING';
/** FILTERED_MOTION and DROPPED stand only on a closing record: the last frames of an epoch had no later frame to carry their counts. */
export type Decision = 'UNKNOWN' | 'ANALYSED' | 'FILTERED_MOTION' | 'DROPPED' | 'EXPIRED' | 'FAILED';
export type Precision = 'UNKNOWN' | 'FP32' | 'FP16' | 'INT8';
export type ModelRole = 'UNKNOWN' | 'PRIMARY' | 'SHADOW' | 'SECONDARY';
export type DropReason = 'ring_full' | 'bus_unavailable' | 'oversize' | 'deadline' | 'stale_epoch' | 'paused';

export interface ProducerRecord {
  readonly service: string;
  readonly instance_id: string;
  readonly version: string;
}

export interface HeaderRecord {
  /** UUIDv5 of camera, epoch, frame and model digest: the key to drop repeats by. */
  readonly message_id: string;
  readonly camera_id: string;
  readonly epoch: number;
  readonly frame_seq: number;
  readonly capture_time: number;
  readonly capture_time_source: CaptureTimeSource;
  readonly capture_time_error_ms: number | null;
  readonly ingest_time: number;
  readonly publish_time: number;
  readonly pts_us: number | null;
  readonly producer: ProducerRecord;
  readonly tags: Readonly<Record<string, string>>;
}

export interface BoundingBoxRecord {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface MotionRecord {
  /** Share of the picture that changed, 0..1. */
  readonly score: number;
  readonly regions: readonly BoundingBoxRecord[];
}

export interface ModelRecord {
  readonly name: string;
  readonly version: string;
  /** sha256 of the model file, hex. */
  readonly digest: string;
  /** For example `onnxruntime-cpu`. */
  readonly runtime: string;
  readonly precision: Precision;
  readonly input_width_px: number;
  readonly input_height_px: number;
  readonly role: ModelRole;
}

export interface DetectedObjectRecord {
  readonly class_id: number;
  readonly class_name: string;
  readonly confidence: number;
  readonly bbox: BoundingBoxRecord;
  readonly keypoints: readonly KeypointRecord[];
  /** Of length 1; null where no embedding model ran on the object. */
  readonly embedding: readonly number[] | null;
  /** The model that made it, as name@version#sha256. */
  readonly embedding_model: string | null;
}

export interface KeypointRecord {
  readonly name: string;
  readonly x: number;
  readonly y: number;
  /** Null where the model does not say. */
  readonly confidence: number | null;
}

/**
 * Frames of this camera and epoch since its previous record, this one included. Exact:
 * `frames_received = frames_analysed + frames_filtered + frames_dropped_ingest + frames_dropped_deadline + frames_failed`
 * and `frames_received` is the difference of the two `frame_seq` (for the first record of an epoch: its `frame_seq`).
 */
export interface AccountingRecord {
  readonly frames_received: number;
  readonly frames_analysed: number;
  readonly frames_filtered: number;
  readonly frames_dropped_ingest: number;
  readonly frames_dropped_deadline: number;
  readonly frames_failed: number;
  /** frames_dropped_ingest by reason. */
  readonly drops_by_reason: Readonly<Partial<Record<DropReason, number>>>;
  /** Pictures that the decoder reported as damaged in this span. They never became frames, so they are not part of the sum. */
  readonly decode_errors: number;
  readonly target_fps: number;
  readonly effective_fps: number;
  readonly load_state: LoadState;
}

export interface TimingRecord {
  /** From the frame's arrival at ingest to the start of its inference. */
  readonly queue: number;
  readonly preprocess: number;
  readonly inference: number;
  readonly postprocess: number;
  /** From capture_time to the moment that the result was made; of a recording (CONTAINER) from ingest_time. */
  readonly capture_to_result: number;
}

export interface DetectionFrame {
  readonly header: HeaderRecord;
  readonly frame_width_px: number;
  readonly frame_height_px: number;
  readonly decision: Decision;
  /** Error code where decision is FAILED. */
  readonly failure_code: string | null;
  readonly model: ModelRecord;
  readonly objects: readonly DetectedObjectRecord[];
  readonly motion: MotionRecord | null;
  readonly accounting: AccountingRecord;
  /** Null where the model was not run. */
  readonly timing_ms: TimingRecord | null;
}

export type CameraState = 'UNKNOWN' | 'CONNECTING' | 'ONLINE' | 'DEGRADED' | 'OFFLINE' | 'ENDED' | 'REJECTED';
export type ReasonCode =
  | 'UNKNOWN'
  | 'NONE'
  | 'DNS'
  | 'REFUSED'
  | 'UNREACHABLE'
  | 'TIMEOUT'
  | 'AUTH'
  | 'NOT_FOUND'
  | 'NOT_ALLOWED'
  | 'TLS'
  | 'PROTOCOL'
  | 'CODEC_UNSUPPORTED'
  | 'NO_VIDEO'
  | 'NO_KEYFRAME'
  | 'STALLED'
  | 'FROZEN'
  | 'DARK'
  | 'CORRUPT'
  | 'END_OF_STREAM'
  | 'STOPPED'
  | 'OVERLOAD'
  | 'POLICY';

export interface CameraStatus {
  readonly message_id: string;
  readonly camera_id: string;
  /** Epoch of the connection that this speaks of; 0 before the first. */
  readonly epoch: number;
  /** Last frame received in that epoch; 0 before the first. When state is OFFLINE or ENDED the epoch is closed and this is its size. */
  readonly frame_seq: number;
  readonly time: number;
  readonly state: CameraState;
  readonly previous_state: CameraState;
  readonly state_since: number;
  readonly reason_code: ReasonCode;
  /** In words, what happened and what to do; never holds a credential. */
  readonly reason_text: string;
  readonly codec: string | null;
  readonly width_px: number | null;
  readonly height_px: number | null;
  readonly declared_fps: number | null;
  readonly measured_fps: number | null;
  readonly clock_source: CaptureTimeSource;
  readonly reconnect_count: number;
  readonly next_retry_at: number | null;
  readonly backoff_ms: number | null;
  readonly last_frame_time: number | null;
  readonly time_to_first_result_ms: number | null;
  readonly producer: ProducerRecord;
  readonly tags: Readonly<Record<string, string>>;
}

/** FILTERED and DROPPED stand only on a closing record, which has no image. */
export type FateName = 'UNKNOWN' | 'ANALYSE' | 'FILTERED' | 'DROPPED';

export interface ImageRecord {
  readonly media_type: string;
  readonly width_px: number;
  readonly height_px: number;
  readonly bytes: Uint8Array;
}

/** A sampled picture on its way from ingest to inference. */
export interface FrameRecord {
  readonly header: HeaderRecord;
  readonly frame_width_px: number;
  readonly frame_height_px: number;
  readonly fate: FateName;
  readonly image: ImageRecord | null;
  readonly crop: BoundingBoxRecord | null;
  readonly motion: MotionRecord | null;
  readonly accounting: AccountingRecord;
  readonly deadline: number | null;
  readonly priority: number;
}

/** An ingest takes a camera over. The epoch of the connection is the offset of this record plus one. */
export interface CameraClaim {
  readonly camera_id: string;
  readonly time: number;
  readonly producer: ProducerRecord;
}

/** Told by every ingest some times in each lease. */
export interface IngestPresence {
  readonly instance_id: string;
  readonly time: number;
  readonly is_leaving: boolean;
  readonly cameras: readonly string[];
  readonly version: string;
}

export interface PointRecord {
  readonly x: number;
  readonly y: number;
}

export interface MaskRecord {
  readonly id: string;
  readonly name: string;
  readonly polygon: readonly PointRecord[];
}

export interface ZoneRecord extends MaskRecord {
  /** Names of the classes that count here; empty for all. */
  readonly classes: readonly string[];
}

/** A is to the left of the line, seen along it. */
export interface LineRecord {
  readonly id: string;
  readonly name: string;
  readonly from: PointRecord;
  readonly to: PointRecord;
  readonly a_to_b: string;
  readonly b_to_a: string;
}

/** A camera as it is registered. */
export interface CameraRegistration {
  readonly camera_id: string;
  readonly enabled: boolean;
  /** For people: no user name, password or secret parameter. */
  readonly url: string;
  /** The whole URL, sealed and bound to camera_id; null where `url` says all. */
  readonly sealed_credentials: string | null;
  readonly transport: 'UNKNOWN' | 'TCP' | 'UDP';
  readonly fps: number;
  readonly filter: 'UNKNOWN' | 'OFF' | 'AUTO';
  readonly allow_http: boolean;
  readonly tls_insecure: boolean;
  readonly crop: BoundingBoxRecord | null;
  readonly realtime: boolean;
  readonly loop: boolean;
  readonly stall_timeout_ms: number;
  readonly max_age_ms: number;
  readonly priority: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly masks: readonly MaskRecord[];
  readonly zones: readonly ZoneRecord[];
  readonly lines: readonly LineRecord[];
  /** Grows by one with each change; given by the registry. */
  readonly config_version: number;
  readonly created_at: number;
  readonly updated_at: number;
  readonly updated_by: string;
}

export type ModelState = 'UNKNOWN' | 'REGISTERED' | 'SHADOW' | 'CANARY' | 'ACTIVE' | 'RETIRED' | 'ROLLED_BACK';
export type ModelAction = 'UNKNOWN' | 'ACTIVATE' | 'SHADOW' | 'CANARY' | 'PROMOTE' | 'ROLLBACK' | 'RETIRE';

export interface ModelGateRecord {
  readonly min_frames: number;
  readonly min_objects: number;
  readonly max_error_rate: number;
  readonly max_latency_ratio: number;
  readonly min_agreement: number;
  readonly max_drop_increase: number;
}

/** One step of the roll-out of a model. */
export interface ModelInfo {
  /** From 1 without gaps; of two with one number the first one on the topic holds. */
  readonly revision: number;
  readonly time: number;
  readonly model_name: string;
  readonly model_version: string;
  readonly digest_sha256: string;
  /** What the version is at after the step. */
  readonly state: ModelState;
  readonly action: ModelAction;
  readonly traffic_share: number;
  readonly cameras: readonly string[] | null;
  readonly gate: ModelGateRecord | null;
  readonly changed_by: string;
  readonly change_reason: string;
}

/** Counts in bins: of the reference, and of the parts of the window one after the other. */
export interface DriftHistogramRecord {
  readonly reference: readonly number[];
  readonly slots: readonly number[];
}

export interface DriftClassRecord {
  readonly class_name: string;
  readonly scores: DriftHistogramRecord;
  readonly counts: DriftHistogramRecord;
}

export type DriftMeasureName = 'UNKNOWN' | 'SCORES' | 'COUNTS' | 'BRIGHTNESS';

export interface DriftChangeRecord {
  readonly time: number;
  readonly model_digest: string;
  readonly measure: DriftMeasureName;
  /** Null for brightness. */
  readonly class_name: string | null;
  readonly psi: number;
  readonly is_over: boolean;
}

/** What is known of a camera for finding drift; on a compacted topic, so that whoever has the camera next goes on from there. */
export interface DriftState {
  readonly camera_id: string;
  readonly time: number;
  readonly model_digest: string;
  readonly window_ms: number;
  readonly slot: number;
  readonly slot_start: number;
  readonly slots_filled: number;
  readonly has_reference: boolean;
  readonly frames: DriftHistogramRecord;
  readonly brightness: DriftHistogramRecord;
  readonly classes: readonly DriftClassRecord[];
  /** `scores/person`, `brightness/`. */
  readonly drifting: readonly string[];
  /** The last ones, oldest first. */
  readonly changes: readonly DriftChangeRecord[];
}
