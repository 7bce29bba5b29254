import type {
  AgreementRow,
  AuditEntry,
  Camera,
  CameraStatusView,
  DetectedObject,
  FrameResult,
  Geometry,
  Line,
  ModelVersion,
  Point,
  ProbeStep,
  Role,
  Rollout,
  Token,
  Verdict,
  Zone,
} from '../core/types.ts';
import { list, number, numbers, record, text, time, type Json } from './read.ts';

export function camera(value: unknown, etag?: string): Camera {
  const from = record(value);
  const id = text(from['id']) ?? '';
  const version = number(from['version']);
  const figures = record(from['figures']);
  const options = record(from['geometry']);
  return {
    id,
    name: text(from['name']) ?? id,
    url: text(from['url']) ?? '',
    enabled: from['enabled'] !== false,
    isFromFile: from['origin'] === 'file',
    tags: Object.entries(record(from['tags'])).map(([name, one]) => `${name}=${plain(one)}`),
    targetFps: number(from['fps']),
    geometry: geometry(options),
    status: cameraStatus(record(from['status']), figures),
    etag: etag ?? (version === undefined ? undefined : `"${version}"`),
  };
}

function cameraStatus(from: Json, figures: Json): CameraStatusView {
  return {
    state: text(from['state']) ?? 'UNKNOWN',
    reasonCode: text(from['reason_code']) ?? '',
    reasonText: text(from['reason_text']) ?? '',
    sinceMs: time(from['state_since']),
    inFps: number(figures['received_fps']) ?? number(from['measured_fps']),
    outFps: number(figures['analysed_fps']),
    lastFrameMs: time(from['last_frame_time']),
    nextRetryMs: time(from['next_retry_at']),
    reconnects: number(from['reconnect_count']),
    codec: text(from['codec']),
    widthPx: number(from['width_px']),
    heightPx: number(from['height_px']),
    firstResultAfterMs: number(from['time_to_first_result_ms']),
  };
}

function geometry(from: Json): Geometry {
  return {
    zones: list(from['zones']).map(zone),
    lines: list(from['lines']).map(line),
    masks: list(from['masks']).map(zone),
  };
}

function zone(value: unknown): Zone {
  const from = record(value);
  const id = text(from['id']) ?? '';
  return { id, name: text(from['name']) ?? id, polygon: list(from['polygon']).map(point) };
}

function line(value: unknown): Line {
  const from = record(value);
  const id = text(from['id']) ?? '';
  return { id, name: text(from['name']) ?? id, from: point(from['from']), to: point(from['to']) };
}

function point(value: unknown): Point {
  const from = record(value);
  return { x: number(from['x']) ?? 0, y: number(from['y']) ?? 0 };
}

export function frameResult(value: unknown): FrameResult {
  const from = record(value);
  const header = record(from['header']);
  return {
    messageId: text(header['message_id']) ?? '',
    frameSeq: number(header['frame_seq']) ?? 0,
    captureMs: time(header['capture_time']) ?? Date.now(),
    objects: list(from['objects']).map(detectedObject),
    timingMs: numbers(from['timing_ms']),
    decision: text(from['decision']) ?? 'UNKNOWN',
    accounting: numbers(from['accounting']),
  };
}

function detectedObject(value: unknown): DetectedObject {
  const from = record(value);
  const box = numbers(from['bbox']);
  return {
    className: text(from['class_name']) ?? 'object',
    confidence: number(from['confidence']) ?? 0,
    box: { x: box['x'] ?? 0, y: box['y'] ?? 0, width: box['width'] ?? 0, height: box['height'] ?? 0 },
    trackId: text(from['track_id']),
  };
}

/** What became of trying a camera: `answer` is that of a probe, or a refusal that carries a verdict. */
export function verdict(answer: unknown): Verdict {
  const whole = record(answer);
  const from = record(whole['verdict']);
  const usable = from['usable'] === true;
  const reason = text(from['reason_text']) ?? text(whole['detail']) ?? '';
  return {
    usable,
    steps: [
      ...list(from['steps']).map((value): ProbeStep => {
        const step = record(value);
        return {
          name: text(step['step']) ?? '',
          outcome: step['ok'] === true ? 'ok' : 'failed',
          detail: text(step['detail']) ?? '',
        };
      }),
      ...(usable ? factSteps(from) : []),
      ...costSteps(record(whole['cost']), record(whole['capacity'])),
    ],
    summary: usable ? 'This camera can be used.' : reason,
    action: text(from['action']) ?? text(whole['action']),
    advice: list(from['advice']).map(plain),
    code: usable ? undefined : (text(whole['code']) ?? text(from['reason_code'])),
  };
}

function factSteps(from: Json): readonly ProbeStep[] {
  const width = number(from['width_px']);
  const fps = number(from['measured_fps']) ?? number(from['declared_fps']);
  const keyframeMs = number(from['keyframe_interval_ms']);
  const facts: readonly (readonly [name: string, value: string | undefined])[] = [
    ['Codec', text(from['codec'])],
    ['Size', width === undefined ? undefined : `${width} × ${number(from['height_px']) ?? '?'}`],
    ['Frames per second', fps === undefined ? undefined : plain(fps)],
    ['Key frame every', keyframeMs === undefined ? undefined : `${(keyframeMs / 1000).toFixed(1)} s`],
    ['Clock', text(from['clock_source'])],
  ];
  return facts.flatMap(([name, detail]) => (detail === undefined ? [] : [{ name, outcome: 'ok' as const, detail }]));
}

function costSteps(cost: Json, capacity: Json): readonly ProbeStep[] {
  const cores = number(cost['cores']);
  if (cores === undefined) return [];
  const free = number(capacity['free_cores']);
  return [
    {
      name: 'Room on this machine',
      outcome: cost['fits'] === false ? 'failed' : 'ok',
      detail: `takes ${cores.toFixed(2)} cores${free === undefined ? '' : `, ${free.toFixed(2)} are free`}`,
    },
  ];
}

export function plain(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(2);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (value === null || value === undefined) return '–';
  return JSON.stringify(value);
}

export function role(value: unknown): Role {
  return value === 'admin' || value === 'operator' ? value : 'viewer';
}

export function modelVersion(value: unknown): ModelVersion {
  const from = record(value);
  const details = record(from['details']);
  return {
    name: text(from['name']) ?? '',
    version: text(from['version']) ?? '',
    state: text(from['state']) ?? 'REGISTERED',
    agreement: number(details['agreement_ratio']) ?? number(details['agreement']),
    agreementFrames: number(details['agreement_frames']),
    trafficShare: number(details['traffic_share']),
    reason: text(details['change_reason']),
    changedMs: time(details['changed_at']),
    details: Object.entries(details).map(([name, one]) => [name.replaceAll('_', ' '), plain(one)] as const),
  };
}

export function rollout(value: unknown): Rollout {
  const from = record(value);
  const previous = record(from['previous']);
  const candidate = record(from['candidate']);
  const model = record(candidate['model']);
  const name = text(previous['name']);
  return {
    previous: name === undefined ? undefined : `${name} ${text(previous['version']) ?? ''}`,
    candidate:
      text(model['name']) === undefined
        ? undefined
        : {
            name: text(model['name']) ?? '',
            version: text(model['version']) ?? '',
            mode: text(candidate['mode']) ?? '',
            cameras: list(candidate['covered_cameras']).map(plain),
            verdict: text(candidate['verdict']) ?? 'pending',
            checks: list(candidate['checks']).map((one) => {
              const check = record(one);
              return { verdict: text(check['verdict']) ?? 'pending', text: text(check['text']) ?? '' };
            }),
            rows: list(candidate['rows']).map(agreementRow),
          },
  };
}

function agreementRow(value: unknown): AgreementRow {
  const from = record(value);
  return {
    cameraId: text(from['camera_id']) ?? '',
    className: text(from['class_name']) ?? '',
    matched: number(from['matched']) ?? 0,
    onlyActive: number(from['only_active']) ?? 0,
    onlyCandidate: number(from['only_candidate']) ?? 0,
    agreement: number(from['agreement']),
  };
}

export function auditEntry(value: unknown): AuditEntry {
  const from = record(value);
  return {
    seq: number(from['seq']) ?? 0,
    timeMs: time(from['time']) ?? 0,
    actor: text(from['actor_name']) ?? text(from['actor']) ?? '–',
    action: text(from['action']) ?? '–',
    target: text(from['target']) ?? '–',
    outcome: text(from['outcome']) ?? '–',
  };
}

export function token(value: unknown): Token {
  const from = record(value);
  const cameras = from['cameras'];
  return {
    id: text(from['id']) ?? '',
    name: text(from['name']) ?? '',
    role: text(from['role']) ?? 'viewer',
    cameras: Array.isArray(cameras) ? cameras.map(plain).join(', ') : 'all',
    createdMs: time(from['created_at']),
    expiresMs: time(from['expires_at']),
  };
}
