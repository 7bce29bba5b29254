import { isInShare } from '#shared/core/rollout/assignment';
import type { GateRules } from '#shared/core/rollout/gate-rules';
import type { CandidateReport } from '#shared/core/rollout/rollout-monitor';
import {
  modelKey,
  type ModelRef,
  type RolloutState,
  type RolloutStep,
  type VersionState,
} from '#shared/core/rollout/rollout-state';
import type { ModelEntry } from './ports.ts';

/** A version as the API and the command line show it. */
export interface ModelVersionView {
  readonly name: string;
  readonly version: string;
  readonly state: VersionState;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

export interface GateRulesView {
  readonly min_frames: number;
  readonly min_objects: number;
  readonly max_error_rate: number;
  readonly max_latency_ratio: number;
  readonly min_agreement: number;
  readonly max_drop_increase: number;
}

export interface StepView {
  readonly revision: number;
  readonly time: string;
  readonly action: RolloutStep['action'];
  readonly model: ModelRef;
  readonly by: string;
  readonly reason: string;
  readonly share: number;
  readonly cameras: readonly string[] | null;
  readonly gate: GateRulesView | null;
}

export interface CandidateView {
  readonly model: ModelRef;
  readonly mode: 'shadow' | 'canary';
  readonly share: number;
  readonly cameras: readonly string[] | null;
  /** Of those that are known now. */
  readonly covered_cameras: readonly string[];
  readonly since: string;
  readonly gate: GateRulesView;
  readonly verdict: 'pass' | 'fail' | 'pending';
  readonly reason: string;
  readonly checks: readonly {
    readonly name: string;
    readonly verdict: 'pass' | 'fail' | 'pending';
    readonly value: number | null;
    readonly limit: number;
    readonly text: string;
  }[];
  readonly compared_frames: number;
  readonly agreement: number | null;
  readonly rows: readonly {
    readonly camera_id: string;
    readonly class_name: string;
    readonly matched: number;
    readonly only_active: number;
    readonly only_candidate: number;
    readonly agreement: number | null;
  }[];
}

export interface RolloutView {
  readonly revision: number;
  readonly active: ModelRef | null;
  /** What a rollback goes back to while there is no candidate. */
  readonly previous: ModelRef | null;
  readonly candidate: CandidateView | null;
}

/** The versions that are here and those that steps spoke of, active first. */
export function versionViews(
  entries: readonly ModelEntry[],
  state: RolloutState,
  report: CandidateReport | undefined,
): ModelVersionView[] {
  const views = new Map<string, ModelVersionView>();
  const add = (model: ModelRef, facts: ModelVersionView['details']): void => {
    const key = modelKey(model);
    if (views.has(key)) return;
    const known = state.versions.get(key);
    const at = known?.state ?? 'REGISTERED';
    views.set(key, {
      ...{ name: model.name, version: model.version, state: at },
      details: { digest: model.digest, ...facts, ...shareOf(at, state, report), ...changeOf(known?.step) },
    });
  };
  for (const entry of entries) {
    const { family, precision, licence, labels, inputWidthPx, inputHeightPx } = entry;
    add(entry, { family, precision, licence, classes: labels.length, input: `${inputWidthPx}x${inputHeightPx}` });
  }
  for (const { model } of state.versions.values()) add(model, { is_here: false });
  const rank = (view: ModelVersionView): number =>
    view.state === 'ACTIVE' ? 0 : view.state === 'CANARY' || view.state === 'SHADOW' ? 1 : 2;
  return [...views.values()].sort(
    (one, other) => rank(one) - rank(other) || (modelKey(one) < modelKey(other) ? -1 : 1),
  );
}

export function stepView(step: RolloutStep): StepView {
  const { revision, timeUs, action, model, by, reason, share, cameras, gate } = step;
  return {
    ...{ revision, time: isoTime(timeUs), action, model: plainRef(model), by, reason, share, cameras },
    gate: gate === null ? null : gateView(gate),
  };
}

/** `cameras`: those that are known; `isVisible`: those that the caller may see. */
export function rolloutView(
  { revision, active, previous, candidate }: RolloutState,
  report: CandidateReport | undefined,
  { cameras, isVisible }: { readonly cameras: readonly string[]; readonly isVisible: (cameraId: string) => boolean },
): RolloutView {
  const common = { revision, active: active && plainRef(active), previous: previous && plainRef(previous) };
  if (candidate === null) return { ...common, candidate: null };
  const named = candidate.cameras?.filter(isVisible) ?? null;
  const { verdict = 'pending', reason = 'nothing was seen yet', checks = [] } = report?.gate ?? {};
  return {
    ...common,
    candidate: {
      ...{ model: plainRef(candidate.model), mode: candidate.mode, share: candidate.share, cameras: named },
      covered_cameras: cameras.filter((id) => isVisible(id) && isInShare(id, candidate)),
      ...{ since: isoTime(candidate.sinceUs), gate: gateView(candidate.gate), verdict, reason, checks },
      compared_frames: report?.comparedFrames ?? 0,
      agreement: report?.agreement ?? null,
      rows: (report?.rows ?? [])
        .filter(({ cameraId }) => isVisible(cameraId))
        .map(({ cameraId, className, matched, onlyActive, onlyCandidate, ratio }) => ({
          ...{ camera_id: cameraId, class_name: className, matched },
          ...{ only_active: onlyActive, only_candidate: onlyCandidate, agreement: ratio },
        })),
    },
  };
}

export function gateOf(view: { readonly [Name in keyof GateRulesView]?: number | undefined }): Partial<GateRules> {
  const all = {
    minFrames: view.min_frames,
    minObjects: view.min_objects,
    maxErrorRate: view.max_error_rate,
    maxLatencyRatio: view.max_latency_ratio,
    minAgreement: view.min_agreement,
    maxDropIncrease: view.max_drop_increase,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function gateView(rules: GateRules): GateRulesView {
  return {
    min_frames: rules.minFrames,
    min_objects: rules.minObjects,
    max_error_rate: rules.maxErrorRate,
    max_latency_ratio: rules.maxLatencyRatio,
    min_agreement: rules.minAgreement,
    max_drop_increase: rules.maxDropIncrease,
  };
}

function shareOf(at: VersionState, { candidate }: RolloutState, report: CandidateReport | undefined) {
  const canaryShare = candidate?.mode === 'canary' ? candidate.share : 0;
  if (at === 'ACTIVE') return { traffic_share: 1 - canaryShare };
  if (at !== 'SHADOW' && at !== 'CANARY') return {};
  return {
    traffic_share: canaryShare,
    agreement_ratio: report?.agreement ?? null,
    agreement_frames: report?.comparedFrames ?? 0,
    gate: report?.gate.verdict ?? 'pending',
  };
}

function changeOf(step: RolloutStep | undefined) {
  if (step === undefined) return {};
  return { changed_at: isoTime(step.timeUs), changed_by: step.by, change_reason: step.reason };
}

/** References come from larger things too. */
function plainRef({ name, version, digest }: ModelRef): ModelRef {
  return { name, version, digest };
}

function isoTime(timeUs: number): string {
  return new Date(timeUs / 1000).toISOString();
}
