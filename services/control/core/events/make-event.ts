import type { CameraRegistration, CameraStatus, DriftState } from '#schemas';
import { messageId } from '#shared/core/message-id';
import { modelKey, type RolloutAction, type RolloutStep } from '#shared/core/rollout/rollout-state';
import type { SiteEvent } from './event.ts';
import { rulesOf, type EventKind } from './event-kinds.ts';

const kindOfState: Partial<Record<CameraStatus['state'], EventKind>> = {
  ONLINE: 'camera.online',
  DEGRADED: 'camera.degraded',
  OFFLINE: 'camera.offline',
  REJECTED: 'camera.rejected',
  ENDED: 'camera.ended',
};

/** Undefined for a state that is none to tell of: that a camera is being tried says nothing about it yet. */
export function eventOfStatus(status: CameraStatus): SiteEvent | undefined {
  const kind = kindOfState[status.state];
  if (kind === undefined) return undefined;
  return {
    id: status.message_id,
    timeUs: status.time,
    kind,
    cameraId: status.camera_id,
    summary: status.reason_text === '' ? rulesOf(kind).text : status.reason_text,
    reasonCode: status.reason_code,
    details: {
      previous_state: status.previous_state,
      epoch: status.epoch,
      reconnect_count: status.reconnect_count,
      ...(status.codec === null ? {} : { codec: status.codec }),
      ...(status.width_px === null ? {} : { width_px: status.width_px, height_px: status.height_px }),
    },
  };
}

/** `previous` as far as it is known here. */
export function eventOfRegistration(
  registration: CameraRegistration,
  previous: CameraRegistration | undefined,
): SiteEvent {
  const { camera_id: cameraId, config_version: version, created_at: createdAt } = registration;
  const kind = version === 1 ? 'registration.added' : 'registration.changed';
  const changed = previous === undefined ? [] : changedFields(previous, registration);
  return {
    id: registrationId(cameraId, createdAt, version),
    timeUs: registration.updated_at,
    kind,
    cameraId,
    summary: changed.length === 0 ? rulesOf(kind).text : `changed: ${changed.join(', ')}`,
    reasonCode: null,
    details: { version, ...(changed.length === 0 ? {} : { changed }) },
  };
}

export function eventOfRemoval(cameraId: string, previous: CameraRegistration, timeUs: number): SiteEvent {
  const kind = 'registration.removed';
  return {
    // A camera that is registered anew under its old name has another time of creation.
    id: registrationId(cameraId, previous.created_at, 0),
    ...{ timeUs, kind, cameraId, summary: rulesOf(kind).text, reasonCode: null },
    details: { version: previous.config_version },
  };
}

const kindOfAction: Readonly<Record<RolloutAction, EventKind>> = {
  activate: 'model.activated',
  shadow: 'model.shadow',
  canary: 'model.canary',
  promote: 'model.promoted',
  rollback: 'model.rolled_back',
  retire: 'model.retired',
};

/** Who makes the steps that a failed gate makes. */
const gateName = 'gate';

export function eventOfStep(step: RolloutStep): SiteEvent {
  const { action, model, by, reason, share, cameras, revision, timeUs } = step;
  const kind = action === 'rollback' && by === gateName ? 'model.gate_failed' : kindOfAction[action];
  const about = modelKey(model);
  return {
    // Revisions of another log, made after a state folder was emptied, are other steps.
    id: messageId(model.digest, revision, timeUs, 'rollout-step'),
    ...{ timeUs, kind, cameraId: null, reasonCode: null },
    summary: reason === '' ? `${about}: ${rulesOf(kind).text}` : `${about}: ${reason}`,
    details: { model: about, revision, by, share, ...(cameras === null ? {} : { cameras }) },
  };
}

/** As inference tells it. */
export interface DriftNews {
  readonly cameraId: string;
  readonly className: string | null;
  readonly measure: 'scores' | 'counts' | 'brightness';
  readonly psi: number;
  readonly change: 'started' | 'ended';
  readonly modelDigest: string;
  readonly timeMs: number;
}

/** What changed last with a camera, as it stands on the topic. */
export function driftNewsOf({ camera_id: cameraId, changes }: DriftState): readonly DriftNews[] {
  return changes.flatMap(({ time, model_digest: modelDigest, measure, class_name: className, psi, is_over: isOver }) =>
    // One that came after us is none that we could put into words.
    measure === 'UNKNOWN'
      ? []
      : [
          {
            ...{ cameraId, className, psi, modelDigest, timeMs: time / 1000 },
            measure: driftMeasures[measure],
            change: isOver ? 'ended' : 'started',
          } as const,
        ],
  );
}

const driftMeasures = { SCORES: 'scores', COUNTS: 'counts', BRIGHTNESS: 'brightness' } as const;

export function eventOfDrift({ cameraId, className, measure, psi, change, modelDigest, timeMs }: DriftNews): SiteEvent {
  const timeUs = Math.round(timeMs * 1000);
  const about = className === null ? measure : `${measure} of ${className}`;
  const figure = Math.round(psi * 1000) / 1000;
  return {
    id: messageId(cameraId, timeUs, 0, `drift/${about}`),
    ...{ timeUs, kind: `drift.${change}`, cameraId, reasonCode: null },
    summary: `${about}: ${rulesOf(`drift.${change}`).text} (PSI ${figure})`,
    details: {
      measure,
      psi: figure,
      model_digest: modelDigest,
      ...(className === null ? {} : { class_name: className }),
    },
  };
}

function registrationId(cameraId: string, createdAt: number, version: number): string {
  return messageId(cameraId, createdAt, version, 'registration');
}

/** What says nothing to whoever reads it, or may not be told. */
const untold: ReadonlySet<string> = new Set(['config_version', 'created_at', 'updated_at', 'camera_id']);
const toldAs: Readonly<Record<string, string>> = { sealed_credentials: 'credentials' };

/** Names alone: values may be addresses, and the audit log is for those. */
function changedFields(before: CameraRegistration, after: CameraRegistration): readonly string[] {
  const old = new Map<string, unknown>(Object.entries(before));
  return Object.entries(after)
    .filter(([name, value]) => !untold.has(name) && JSON.stringify(value) !== JSON.stringify(old.get(name)))
    .map(([name]) => toldAs[name] ?? name);
}
