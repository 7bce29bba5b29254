/**
 * What the page works with. Only web/src/api/ knows the shapes of the API (generated from docs/openapi.json); it turns them into these, so that
 * a change of the API is a change of one folder.
 */

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** All geometry is in fractions of the picture, 0..1, so it stays true when the camera changes its size. */
export interface Zone {
  readonly id: string;
  readonly name: string;
  readonly polygon: readonly Point[];
}

export interface Line {
  readonly id: string;
  readonly name: string;
  readonly from: Point;
  readonly to: Point;
}

export interface Geometry {
  readonly zones: readonly Zone[];
  readonly lines: readonly Line[];
  readonly masks: readonly Zone[];
}

export interface CameraStatusView {
  /** As the API names it: ONLINE, OFFLINE, … */
  readonly state: string;
  readonly reasonCode: string;
  readonly reasonText: string;
  readonly sinceMs: number | undefined;
  readonly inFps: number | undefined;
  readonly outFps: number | undefined;
  readonly lastFrameMs: number | undefined;
  readonly nextRetryMs: number | undefined;
  readonly reconnects: number | undefined;
  readonly codec: string | undefined;
  readonly widthPx: number | undefined;
  readonly heightPx: number | undefined;
  readonly firstResultAfterMs: number | undefined;
}

export interface Camera {
  readonly id: string;
  readonly name: string;
  /** As the API shows it: never with a password. */
  readonly url: string;
  readonly enabled: boolean;
  /** From the settings file, and changed there. */
  readonly isFromFile: boolean;
  readonly tags: readonly string[];
  readonly targetFps: number | undefined;
  readonly geometry: Geometry;
  readonly status: CameraStatusView;
  /** For If-Match; only known after the camera itself was asked for. */
  readonly etag: string | undefined;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface DetectedObject {
  readonly className: string;
  readonly confidence: number;
  readonly box: Box;
}

/** The result of one frame; `messageId` is the one on the topic, so a box on the screen can be traced to its record. */
export interface FrameResult {
  readonly messageId: string;
  readonly frameSeq: number;
  readonly captureMs: number;
  readonly objects: readonly DetectedObject[];
  readonly timingMs: Readonly<Record<string, number>>;
  readonly decision: string;
  readonly accounting: Readonly<Record<string, number>>;
}

export interface ProbeStep {
  readonly name: string;
  readonly outcome: 'ok' | 'failed';
  readonly detail: string;
}

export interface Verdict {
  readonly usable: boolean;
  readonly steps: readonly ProbeStep[];
  readonly summary: string;
  readonly action: string | undefined;
  readonly advice: readonly string[];
  readonly code: string | undefined;
}

export type Role = 'viewer' | 'operator' | 'admin';

export interface Me {
  readonly name: string;
  readonly role: Role;
}

export interface ModelVersion {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly agreement: number | undefined;
  readonly agreementFrames: number | undefined;
  readonly trafficShare: number | undefined;
  readonly reason: string | undefined;
  readonly changedMs: number | undefined;
  readonly details: readonly (readonly [label: string, value: string])[];
}

export interface AgreementRow {
  readonly cameraId: string;
  readonly className: string;
  readonly matched: number;
  readonly onlyActive: number;
  readonly onlyCandidate: number;
  readonly agreement: number | undefined;
}

/** A version that is tried beside the active one. */
export interface Candidate {
  readonly name: string;
  readonly version: string;
  readonly mode: string;
  readonly cameras: readonly string[];
  readonly verdict: string;
  readonly checks: readonly { readonly verdict: string; readonly text: string }[];
  readonly rows: readonly AgreementRow[];
}

export interface Rollout {
  /** What a rollback goes back to; undefined where there is nothing. */
  readonly previous: string | undefined;
  readonly candidate: Candidate | undefined;
}

export type EventSeverity = 'info' | 'notice' | 'alert';

/** Something that happened to a camera, to its registration, or to the models. */
export interface SiteEvent {
  readonly id: string;
  readonly timeMs: number;
  /** `camera.offline`; kinds of a later server are shown as they are named. */
  readonly kind: string;
  readonly severity: EventSeverity;
  readonly cameraId: string | undefined;
  readonly summary: string;
  readonly reasonCode: string | undefined;
  readonly by: string | undefined;
  readonly hasStill: boolean;
}

export interface AuditEntry {
  readonly seq: number;
  readonly timeMs: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly outcome: string;
}

export interface Token {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly cameras: string;
  readonly createdMs: number | undefined;
  readonly expiresMs: number | undefined;
}

/** A part of the system page: a heading, and lines of label and value as the API tells them. */
export interface SystemSection {
  readonly title: string;
  readonly rows: readonly (readonly [label: string, value: string])[];
}

export interface SystemView {
  readonly sections: readonly SystemSection[];
  readonly topics: readonly { readonly name: string; readonly consumer: string }[];
}
