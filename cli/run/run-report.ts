import type { ErrorCode } from '#shared/core/error-catalogue';
import type { CameraSnapshot } from '../../services/ingest/core/camera-supervisor.ts';
import type { CameraSummary, RunSummary } from '../../services/results/core/run-summary.ts';

/** What `--summary` writes. */
export interface RunReport {
  readonly sightline_version: string;
  readonly started_at: string;
  readonly ended_at: string;
  readonly wall_seconds: number;
  readonly model: { readonly name: string; readonly version: string; readonly digest: string };
  readonly results: string;
  /** CPU of this process and of what it started, whole run with start-up. `children_counted` is false where the system does not tell. */
  readonly cpu: { readonly total_ms: number; readonly children_counted: boolean };
  readonly cameras: readonly CameraReport[];
}

/** One camera: how it stood at the end, and its figures. A camera that gave no record has zeros and nulls. */
export type CameraReport = Omit<CameraSummary, 'first_capture_time' | 'last_capture_time'> & {
  readonly first_capture_time: number | null;
  readonly last_capture_time: number | null;
  readonly state: string;
  readonly reason_code: string;
  readonly reason: string;
  readonly error_code: ErrorCode | null;
  readonly reconnects: number;
};

const nothingMeasured = { p50: null, p95: null, p99: null } as const;
const noFigures = {
  epochs: 0,
  frames_received: 0,
  frames_analysed: 0,
  frames_filtered: 0,
  frames_dropped: 0,
  drops_by_reason: {},
  frames_expired: 0,
  frames_failed: 0,
  decode_errors: 0,
  objects: 0,
  objects_by_class: {},
  fps: null,
  processing_fps: null,
  latency_ms: nothingMeasured,
  timing_ms: {
    queue: nothingMeasured,
    preprocess: nothingMeasured,
    inference: nothingMeasured,
    postprocess: nothingMeasured,
  },
  first_capture_time: null,
  last_capture_time: null,
  cpu_ms_per_analysed_frame: null,
} as const;

/** Those that are there at the end, then those that were removed while it ran. */
export function reportCameras(snapshots: readonly CameraSnapshot[], summary: RunSummary): readonly CameraReport[] {
  const figures = new Map(summary.cameras.map((camera) => [camera.camera_id, camera]));
  const present = snapshots.map((snapshot) => ({
    ...noFigures,
    ...figures.get(snapshot.id),
    camera_id: snapshot.id,
    state: snapshot.state,
    reason_code: snapshot.reason,
    reason: snapshot.reasonText,
    error_code: snapshot.errorCode,
    reconnects: snapshot.reconnects,
  }));
  for (const { id } of snapshots) figures.delete(id);
  const removed = Array.from(figures.values(), (camera) => ({
    ...camera,
    ...{ state: 'DELETED', reason_code: 'NONE', reason: 'removed, or switched off, while it ran', error_code: null },
    // Nobody kept count of a camera that is gone; each connection of it has an epoch.
    reconnects: Math.max(0, camera.epochs - 1),
  }));
  return [...present, ...removed];
}
