import type { GateRules } from './gate-rules.ts';
import type { GateOpinion } from './rollout-state.ts';

/** What was seen since the candidate began. */
export interface GateEvidence {
  readonly frames: number;
  readonly failed: number;
  /** Milliseconds that a frame took in the model, at the 95th percentile; null where none was run. */
  readonly latencyP95Ms: number | null;
  readonly activeLatencyP95Ms: number | null;
  readonly objects: number;
  /** 0..1; null where nothing was compared or nothing was seen. */
  readonly agreement: number | null;
  /** Dropped and expired frames as a share of those received, on its cameras and on the others; null where none were received. */
  readonly dropRatio: number | null;
  readonly otherDropRatio: number | null;
}

export type GateCheckName = 'frames' | 'error_rate' | 'latency' | 'agreement' | 'drops';

export interface GateCheck {
  readonly name: GateCheckName;
  readonly verdict: GateOpinion['verdict'];
  readonly value: number | null;
  readonly limit: number;
  readonly text: string;
}

export interface GateVerdict extends GateOpinion {
  readonly checks: readonly GateCheck[];
}

/**
 * Whether a candidate keeps to its rules. It fails as soon as one rule is broken for good, passes when all are kept on enough frames, and is
 * pending in between. Errors count at once: what can no longer be made up within `minFrames` is not waited for.
 */
export function judgeGate(rules: GateRules, evidence: GateEvidence): GateVerdict {
  const isEnough = evidence.frames >= rules.minFrames;
  const checks = [
    framesCheck(rules, evidence),
    errorCheck(rules, evidence, isEnough),
    latencyCheck(rules, evidence, isEnough),
    ...(rules.minAgreement > 0 ? [agreementCheck(rules, evidence, isEnough)] : []),
    dropCheck(rules, evidence, isEnough),
  ];
  const failed = checks.filter(({ verdict }) => verdict === 'fail');
  if (failed.length > 0) return { verdict: 'fail', reason: failed.map(({ text }) => text).join('; '), checks };
  const pending = checks.filter(({ verdict }) => verdict === 'pending');
  if (pending.length > 0) return { verdict: 'pending', reason: pending.map(({ text }) => text).join('; '), checks };
  return { verdict: 'pass', reason: checks.map(({ text }) => text).join('; '), checks };
}

function framesCheck({ minFrames }: GateRules, { frames }: GateEvidence): GateCheck {
  return {
    name: 'frames',
    verdict: frames >= minFrames ? 'pass' : 'pending',
    value: frames,
    limit: minFrames,
    text: `${frames} of ${minFrames} frames seen`,
  };
}

function errorCheck(
  { maxErrorRate, minFrames }: GateRules,
  { frames, failed }: GateEvidence,
  isEnough: boolean,
): GateCheck {
  const rate = frames === 0 ? null : failed / frames;
  const isLost = failed > maxErrorRate * Math.max(frames, minFrames);
  return {
    name: 'error_rate',
    verdict: isLost ? 'fail' : isEnough ? 'pass' : 'pending',
    value: rate,
    limit: maxErrorRate,
    text: `${failed} of ${frames} frames failed (at most ${percent(maxErrorRate)})`,
  };
}

function latencyCheck({ maxLatencyRatio }: GateRules, evidence: GateEvidence, isEnough: boolean): GateCheck {
  const { latencyP95Ms: own, activeLatencyP95Ms: active } = evidence;
  const ratio = own === null || active === null || active <= 0 ? null : own / active;
  const verdict = ratio === null || !isEnough ? 'pending' : ratio > maxLatencyRatio ? 'fail' : 'pass';
  const text =
    ratio === null || own === null || active === null
      ? 'its time is not known beside that of the active model'
      : `p95 ${own.toFixed(1)} ms is ${ratio.toFixed(2)} of the active model's ${active.toFixed(1)} ms (at most ${maxLatencyRatio})`;
  return { name: 'latency', verdict, value: ratio, limit: maxLatencyRatio, text };
}

function agreementCheck({ minAgreement, minObjects }: GateRules, evidence: GateEvidence, isEnough: boolean): GateCheck {
  const { agreement, objects } = evidence;
  const isKnown = agreement !== null && objects >= minObjects;
  const verdict = !isKnown || !isEnough ? 'pending' : agreement < minAgreement ? 'fail' : 'pass';
  const text = isKnown
    ? `agreement ${percent(agreement)} (at least ${percent(minAgreement)})`
    : `${objects} of ${minObjects} objects to compare`;
  return { name: 'agreement', verdict, value: agreement, limit: minAgreement, text };
}

function dropCheck({ maxDropIncrease }: GateRules, evidence: GateEvidence, isEnough: boolean): GateCheck {
  const { dropRatio, otherDropRatio } = evidence;
  const increase = dropRatio === null ? null : dropRatio - (otherDropRatio ?? 0);
  const verdict = !isEnough || increase === null ? 'pending' : increase > maxDropIncrease ? 'fail' : 'pass';
  const text =
    increase === null
      ? 'no frame of its cameras was counted yet'
      : `${percent(dropRatio ?? 0)} of frames dropped, ${percent(otherDropRatio ?? 0)} elsewhere (at most ${percent(maxDropIncrease)} more)`;
  return { name: 'drops', verdict, value: increase, limit: maxDropIncrease, text };
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`;
}
