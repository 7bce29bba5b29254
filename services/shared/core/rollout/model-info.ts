import type { ModelGateRecord, ModelInfo } from '../../../../schemas/index.ts';
import { AppError } from '../errors.ts';
import type { GateRules } from './gate-rules.ts';
import type { RolloutAction, RolloutStep } from './rollout-state.ts';

const actions = {
  activate: ['ACTIVATE', 'ACTIVE'],
  shadow: ['SHADOW', 'SHADOW'],
  canary: ['CANARY', 'CANARY'],
  promote: ['PROMOTE', 'ACTIVE'],
  rollback: ['ROLLBACK', 'ROLLED_BACK'],
  retire: ['RETIRE', 'RETIRED'],
} as const satisfies Record<RolloutAction, readonly [ModelInfo['action'], ModelInfo['state']]>;

/** A step as it goes over the topic of models. */
export function toModelInfo(step: RolloutStep): ModelInfo {
  const [action, state] = actions[step.action];
  return {
    revision: step.revision,
    time: step.timeUs,
    model_name: step.model.name,
    model_version: step.model.version,
    digest_sha256: step.model.digest,
    state,
    action,
    traffic_share: step.share,
    cameras: step.cameras,
    gate: step.gate === null ? null : toGateRecord(step.gate),
    changed_by: step.by,
    change_reason: step.reason,
  };
}

/** Throws SIGHTLINE_RECORD_UNDECODABLE for a step of a kind that a later version has brought. */
export function fromModelInfo(record: ModelInfo): RolloutStep {
  const named = Object.entries(actions).find(([, [action]]) => action === record.action);
  if (named === undefined)
    throw new AppError('SIGHTLINE_RECORD_UNDECODABLE', `step ${record.revision} of the roll-out is of an unknown kind`);
  return {
    revision: record.revision,
    timeUs: record.time,
    action: named[0] as RolloutAction, // a key of the table above
    model: { name: record.model_name, version: record.model_version, digest: record.digest_sha256 },
    by: record.changed_by,
    reason: record.change_reason,
    share: rounded(record.traffic_share),
    cameras: record.cameras,
    gate: record.gate === null ? null : fromGateRecord(record.gate),
  };
}

function toGateRecord(rules: GateRules): ModelGateRecord {
  return {
    min_frames: rules.minFrames,
    min_objects: rules.minObjects,
    max_error_rate: rules.maxErrorRate,
    max_latency_ratio: rules.maxLatencyRatio,
    min_agreement: rules.minAgreement,
    max_drop_increase: rules.maxDropIncrease,
  };
}

function fromGateRecord(record: ModelGateRecord): GateRules {
  return {
    minFrames: record.min_frames,
    minObjects: record.min_objects,
    maxErrorRate: rounded(record.max_error_rate),
    maxLatencyRatio: rounded(record.max_latency_ratio),
    minAgreement: rounded(record.min_agreement),
    maxDropIncrease: rounded(record.max_drop_increase),
  };
}

/** What a 32-bit float makes of 0.1 is 0.1 again. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
