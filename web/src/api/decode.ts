import type {
  AgreementRow,
  AuditEntry,
  Camera,
  CameraStatusView,
  FrameResult,
  Geometry,
  ModelVersion,
  ProbeStep,
  Rollout,
  Token,
  Verdict,
} from '../core/types.ts';
import { clockText, stepText } from '../core/words.ts';
import { number, numbers, text, time } from './read.ts';
import type { Schemas } from './schemas.ts';

/** What a server of another version leaves out is absent here whatever the document says; so nothing further in depends on it. */
type Told<T> = { readonly [Name in keyof T]?: T[Name] | undefined };

export function camera(from: Schemas['Camera'], etag?: string): Camera {
  const { id, tags, version } = from;
  return {
    ...{ id, name: id, url: from.url, enabled: from.enabled, isFromFile: from.origin === 'file', targetFps: from.fps },
    tags: Object.entries(tags).map(([name, one]) => `${name}=${one}`),
    geometry: geometry(from.geometry),
    status: cameraStatus(from.status ?? {}, from.figures ?? {}),
    etag: etag ?? `"${version}"`,
  };
}

function cameraStatus(
  from: Told<Schemas['CameraStatus']>,
  figures: Told<NonNullable<Schemas['Camera']['figures']>>,
): CameraStatusView {
  return {
    state: from.state ?? 'UNKNOWN',
    reasonCode: from.reason_code ?? '',
    reasonText: from.reason_text ?? '',
    sinceMs: time(from.state_since),
    inFps: figures.received_fps ?? from.measured_fps ?? undefined,
    outFps: figures.analysed_fps,
    lastFrameMs: time(from.last_frame_time),
    nextRetryMs: time(from.next_retry_at),
    reconnects: from.reconnect_count,
    codec: from.codec ?? undefined,
    widthPx: from.width_px ?? undefined,
    heightPx: from.height_px ?? undefined,
    firstResultAfterMs: from.time_to_first_result_ms ?? undefined,
  };
}

function geometry({ zones, lines, masks }: Schemas['Geometry']): Geometry {
  return {
    zones: zones.map(({ id, name, polygon }) => ({ id, name, polygon })),
    lines: lines.map(({ id, name, from, to }) => ({ id, name, from, to })),
    masks: masks.map(({ id, name, polygon }) => ({ id, name, polygon })),
  };
}

export function frameResult({ header, objects, ...from }: Schemas['DetectionFrame']): FrameResult {
  return {
    messageId: header.message_id,
    frameSeq: header.frame_seq,
    captureMs: time(header.capture_time) ?? Date.now(),
    objects: objects.map(({ class_name: className, confidence, bbox: box }) => ({ className, confidence, box })),
    timingMs: numbers(from.timing_ms),
    decision: from.decision,
    accounting: numbers(from.accounting),
  };
}

/** An answer to trying a camera: that of a probe, or a refusal that carries what was found. */
export type VerdictAnswer = Told<Schemas['ProbeAnswer']> & Told<Pick<Schemas['Problem'], 'detail' | 'action' | 'code'>>;

export function verdict({ verdict: from, cost, capacity, ...refusal }: VerdictAnswer): Verdict {
  const usable = from?.usable === true;
  return {
    usable,
    steps: [
      ...(from?.steps ?? []).map(({ step, ok, detail }): ProbeStep => {
        return { name: stepText(step), outcome: ok ? 'ok' : 'failed', detail };
      }),
      ...(from != null && usable ? factSteps(from) : []),
      ...(cost == null ? [] : [costStep(cost, capacity ?? undefined)]),
    ],
    summary: usable ? 'This camera can be used.' : (from?.reason_text ?? refusal.detail ?? ''),
    action: from?.action ?? refusal.action,
    advice: from?.advice ?? [],
    code: usable ? undefined : (refusal.code ?? from?.reason_code),
  };
}

function factSteps(from: Schemas['ProbeVerdict']): readonly ProbeStep[] {
  const { codec, width_px: width, height_px: height, keyframe_interval_ms: keyframeMs } = from;
  const fps = from.measured_fps ?? from.declared_fps;
  const facts: readonly (readonly [name: string, value: string | null | undefined])[] = [
    ['Codec', codec],
    ['Size', width === null ? undefined : `${width} × ${height ?? '?'}`],
    ['Frames per second', fps == null ? undefined : plain(fps)],
    ['Key frame every', keyframeMs === null ? undefined : `${(keyframeMs / 1000).toFixed(1)} s`],
    ['Clock', clockText(from.clock_source)],
  ];
  return facts.flatMap(([name, detail]) => (detail == null ? [] : [{ name, outcome: 'ok' as const, detail }]));
}

function costStep({ cores, fits }: Schemas['Cost'], capacity: Schemas['Capacity'] | undefined): ProbeStep {
  const free = capacity === undefined ? '' : `, ${capacity.free_cores.toFixed(2)} are free`;
  return {
    name: 'Room on this machine',
    outcome: fits ? 'ok' : 'failed',
    detail: `takes ${cores.toFixed(2)} cores${free}`,
  };
}

export function plain(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(2);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (value === null || value === undefined) return '–';
  return JSON.stringify(value);
}

export function modelVersion({ name, version, state, details }: Schemas['ModelVersion']): ModelVersion {
  return {
    ...{ name, version, state },
    agreement: number(details['agreement_ratio']) ?? number(details['agreement']),
    agreementFrames: number(details['agreement_frames']),
    trafficShare: number(details['traffic_share']),
    reason: text(details['change_reason']),
    changedMs: time(details['changed_at']),
    details: Object.entries(details).map(([label, one]) => [label.replaceAll('_', ' '), plain(one)] as const),
  };
}

export function rollout({ previous, candidate }: Schemas['Rollout']): Rollout {
  return {
    previous: previous === null ? undefined : `${previous.name} ${previous.version}`,
    candidate:
      candidate === null
        ? undefined
        : {
            ...{ name: candidate.model.name, version: candidate.model.version, mode: candidate.mode },
            cameras: candidate.covered_cameras,
            verdict: candidate.verdict,
            checks: candidate.checks.map((check) => ({ verdict: check.verdict, text: check.text })),
            rows: candidate.rows.map(agreementRow),
          },
  };
}

function agreementRow(from: Schemas['AgreementRow']): AgreementRow {
  return {
    cameraId: from.camera_id,
    className: from.class_name,
    matched: from.matched,
    onlyActive: from.only_active,
    onlyCandidate: from.only_candidate,
    agreement: from.agreement ?? undefined,
  };
}

export function auditEntry({
  seq,
  time: at,
  actor,
  actor_name: name,
  action,
  target,
  outcome,
}: Schemas['AuditRecord']): AuditEntry {
  return { seq, timeMs: Date.parse(at), actor: name === '' ? actor : name, action, target, outcome };
}

export function token({ id, name, role: of, cameras, ...times }: Schemas['Token']): Token {
  return {
    ...{ id, name, role: of, cameras: cameras?.join(', ') ?? 'all' },
    createdMs: time(times.created_at),
    expiresMs: time(times.expires_at),
  };
}
