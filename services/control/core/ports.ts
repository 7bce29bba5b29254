import type { FoundDevice, OnvifDevice } from '#shared/core/found-cameras';
import type { RolloutController } from '#shared/core/rollout/rollout-controller';
import type { ModelRef } from '#shared/core/rollout/rollout-state';
import type { BoundingBoxRecord, CameraStatus, DetectionFrame } from '#schemas';
import type { AuditEntry, AuditFact } from './audit-chain.ts';
import type { LoadFigures } from './capacity.ts';
import type { StoredToken } from './tokens.ts';

export interface PointRecord {
  readonly x: number;
  readonly y: number;
}

export interface MaskRecord {
  readonly id: string;
  readonly name: string;
  readonly polygon: readonly PointRecord[];
}

/** What is left out of a change stays as it was. */
export interface ZoneRecord extends MaskRecord {
  readonly classes?: readonly string[];
}

export interface LineRecord {
  readonly id: string;
  readonly name: string;
  readonly from: PointRecord;
  readonly to: PointRecord;
  readonly a_to_b?: string;
  readonly b_to_a?: string;
}

/** Drawn on the picture, as fractions of it. */
export interface GeometryRecord {
  readonly zones: readonly ZoneRecord[];
  readonly lines: readonly LineRecord[];
  readonly masks: readonly MaskRecord[];
}

/** What can be set of a camera, besides its URL; named as in the settings file. */
export interface CameraOptions {
  readonly enabled: boolean;
  readonly fps: number;
  readonly filter: 'off' | 'auto';
  readonly transport: 'tcp' | 'udp';
  readonly tls_insecure: boolean;
  readonly crop: BoundingBoxRecord | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly stall_timeout_s: number;
  readonly max_age_s: number;
  readonly loop: boolean;
  readonly realtime: boolean;
  readonly priority: number;
  readonly allow_http: boolean;
  readonly geometry: GeometryRecord;
}

/** A camera as it is shown: without its credentials. */
export interface CameraEntry extends CameraOptions {
  readonly id: string;
  /** Without credentials. */
  readonly url: string;
  readonly has_credentials: boolean;
  /** `file` cameras come from the settings file and are changed there. */
  readonly origin: 'api' | 'file';
  /** Rises with each change; the ETag. */
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
}

/** Which of several ingests has a camera. */
export interface CameraPlacement {
  /** Instance of the ingest that claimed it last. */
  readonly ingest: string;
  /** Of that claim: every connection has one, growing. */
  readonly epoch: number;
  readonly claimed_at: string;
  /** The ingest lives and says that it has the camera. */
  readonly is_attended: boolean;
  /** Seconds since that ingest was last heard of; null where it is gone. */
  readonly heard_s_ago: number | null;
}

export type CameraDraft = Partial<CameraOptions> & {
  readonly id: string;
  readonly url: string;
  readonly password?: string;
};
export type CameraPatch = Partial<CameraOptions> & { readonly url?: string; readonly password?: string };

/** The cameras that are registered. Reading is from memory; changes are kept before they resolve. */
export interface CameraDirectory {
  /** Sorted by id. */
  list(): readonly CameraEntry[];
  get(id: string): CameraEntry | undefined;
  /** Checks without keeping: throws SIGHTLINE_CONFIG_INVALID or SIGHTLINE_CAMERA_URL_INVALID. */
  check(draft: CameraDraft): void;
  /** Throws also SIGHTLINE_CAMERA_EXISTS. */
  create(draft: CameraDraft): Promise<CameraEntry>;
  /** Throws SIGHTLINE_CAMERA_UNKNOWN, SIGHTLINE_CAMERA_FROM_FILE, SIGHTLINE_CAMERA_CHANGED. */
  update(id: string, patch: CameraPatch, expectedVersion?: number): Promise<CameraEntry>;
  remove(id: string, expectedVersion?: number): Promise<void>;
  /** The draft by which a registered camera is probed; its secrets stay with the directory and the probe. */
  draftOf(id: string): CameraDraft | undefined;
}

export interface ProbeStep {
  readonly step: string;
  readonly ok: boolean;
  readonly duration_ms: number;
  readonly detail: string;
}

/** The answer to "can this camera be used, and if not, why not"; as ingest's probe gives it. */
export interface ProbeVerdict {
  readonly usable: boolean;
  readonly reason_code: string;
  readonly reason_text: string;
  readonly action: string | null;
  readonly advice: readonly string[];
  readonly target: string;
  readonly codec: string | null;
  readonly width_px: number | null;
  readonly height_px: number | null;
  readonly declared_fps: number | null;
  readonly measured_fps: number | null;
  readonly keyframe_interval_ms: number | null;
  readonly clock_source: string;
  readonly clock_offset_ms: number | null;
  readonly transport: string | null;
  readonly is_encrypted: boolean;
  readonly auth_scheme: string | null;
  readonly server_name: string | null;
  readonly packet_loss_ratio: number | null;
  readonly steps: readonly ProbeStep[];
  readonly duration_ms: number;
}

export interface ProbeRequest {
  readonly url: string;
  readonly password?: string;
  readonly transport: 'tcp' | 'udp';
  readonly tlsInsecure: boolean;
  /** Absent: as this process was started. */
  readonly allowHttp?: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onStep?: (step: ProbeStep) => void;
}

/** Tries a camera; never rejects for a bad one. The address policy is applied in there. */
export type ProbeCamera = (request: ProbeRequest) => Promise<ProbeVerdict>;

/** Where cameras of a make have their streams. */
export interface MakeTemplate {
  readonly make: string;
  readonly name: string;
  readonly main: string;
  readonly sub: string | null;
  readonly source: string;
  readonly note: string;
}

/** Helps to find the address of a camera. */
export interface CameraFinder {
  discover(request: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<readonly FoundDevice[]>;
  /** Throws what is wrong with the device. The address policy is applied in there. */
  profiles(request: {
    readonly host: string;
    readonly port: number;
    readonly path?: string;
    readonly user?: string;
    readonly password?: string;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }): Promise<OnvifDevice>;
  readonly templates: readonly MakeTemplate[];
}

/** The picture of a frame and the result of exactly that frame. */
export interface LivePicture {
  readonly jpeg: Uint8Array;
  readonly result: DetectionFrame;
}

export interface CameraFigures {
  readonly received_fps: number;
  readonly analysed_fps: number;
  /** Of the newest result; microseconds since 1970. */
  readonly newest_capture_time: number | null;
  readonly frames_received: number;
  readonly frames_analysed: number;
  readonly frames_filtered: number;
  readonly frames_dropped: number;
  readonly frames_expired: number;
  readonly frames_failed: number;
  readonly drops_by_reason: Readonly<Record<string, number>>;
  readonly decode_errors: number;
}

export interface Subscription {
  close(): void;
}

/** What is known of the cameras right now, and who wants to hear of it. A listener must not block: it takes what it gets and returns. */
export interface LiveFeed {
  status(cameraId: string): CameraStatus | undefined;
  figures(cameraId: string): CameraFigures | undefined;
  /** Newest last, at most `limit`. */
  history(cameraId: string, limit: number): readonly DetectionFrame[];
  onResult(listener: (record: DetectionFrame) => void): Subscription;
  onStatus(listener: (status: CameraStatus) => void): Subscription;
  /** The next picture of a camera with the result of exactly that frame; undefined when none came before the signal. */
  nextPicture(cameraId: string, signal: AbortSignal): Promise<LivePicture | undefined>;
}

export interface TokenStore {
  list(): readonly StoredToken[];
  get(id: string): StoredToken | undefined;
  put(token: StoredToken): void;
  /** False where there was none. */
  remove(id: string): boolean;
}

/** Append-only; entries are chained by `audit-chain.ts`. */
export interface AuditLog {
  append(fact: AuditFact): AuditEntry;
  /** Newest first, those before `beforeSeq`. */
  newest(limit: number, beforeSeq?: number): readonly AuditEntry[];
  /** Oldest first, those after `afterSeq`. */
  following(limit: number, afterSeq: number): readonly AuditEntry[];
  /** All, oldest first, without holding them all in memory. */
  all(): Iterable<AuditEntry>;
}

export interface TopicInfo {
  readonly name: string;
  /** The command that reads it, ready to be copied. */
  readonly consumer: string;
}

export interface SystemFacts {
  readonly version: string;
  readonly mode: 'embedded' | 'distributed';
  readonly started_at: string;
  readonly model: { readonly name: string; readonly version: string; readonly digest: string } | null;
  readonly results: string;
  /** Why there is no capacity to tell; absent where there is. */
  readonly capacity_note?: string;
  readonly topics: readonly TopicInfo[];
  readonly services: readonly { readonly name: string; readonly ready: boolean; readonly reason: string | null }[];
}

export interface SystemPort {
  facts(): SystemFacts;
  /** Null where the work is done elsewhere and this process cannot know. */
  load(): LoadFigures | null;
  /** Absent where everything runs in one process. */
  placementOf?(cameraId: string): CameraPlacement | null;
}

/** A version that is here and could be run. */
export interface ModelEntry extends ModelRef {
  readonly family: string;
  readonly inputWidthPx: number;
  readonly inputHeightPx: number;
  readonly labels: readonly string[];
  readonly precision: string;
  readonly licence: string;
}

/** Versions of models, which of them works on what share of the cameras, and the steps that change it. */
export interface ModelCatalogue {
  list(): Promise<readonly ModelEntry[]>;
  readonly rollout: Pick<RolloutController, 'state' | 'history' | 'report' | 'execute'>;
}
