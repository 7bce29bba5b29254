import type { DetectionFrame } from '../../../../schemas/index.ts';
import { agreementRatio, compareObjects, type ClassAgreement } from './agreement.ts';
import { isInShare } from './assignment.ts';
import { judgeGate, type GateVerdict } from './gate.ts';
import type { Candidate, ModelRef, RolloutState } from './rollout-state.ts';

export interface AgreementRow extends ClassAgreement {
  readonly cameraId: string;
  readonly className: string;
  /** 0..1. */
  readonly ratio: number | null;
}

export interface CandidateReport {
  readonly gate: GateVerdict;
  /** Frames that both models looked at. */
  readonly comparedFrames: number;
  readonly agreement: number | null;
  /** By camera and class. */
  readonly rows: readonly AgreementRow[];
}

/** Times of the newest frames: enough for a 95th percentile, and what it cost hours ago is no matter. */
const keptTimes = 1_000;
/** Frames whose other half has not come yet; a shadow that was left out never comes. */
const keptHalves = 1_024;
/** Cameras times classes; what comes above is counted in the whole only. */
const maxRows = 20_000;

interface Counts {
  received: number;
  lost: number;
}

type Tally = { -readonly [Name in keyof ClassAgreement]: number };

interface Watched {
  readonly active: ModelRef;
  readonly candidate: Candidate;
  frames: number;
  failed: number;
  readonly ownTimes: Ring;
  readonly activeTimes: Ring;
  readonly inShare: Counts;
  readonly others: Counts;
  compared: number;
  readonly total: Tally;
  readonly rows: Map<string, Tally & Pick<AgreementRow, 'cameraId' | 'className'>>;
  readonly halves: Map<string, DetectionFrame>;
}

/**
 * What the records say of a candidate. Give it every record, whichever process made it: each names its model, its outcome and its time, so
 * nothing else has to be told. Memory is bounded.
 */
export class RolloutMonitor {
  #watched: Watched | undefined;
  /** Of all cameras since the last candidate went, for a candidate that leaves no others. */
  #before: Counts = { received: 0, lost: 0 };

  /** The state that holds from now on. Figures begin anew with another candidate, or where a candidate goes from shadow to canary. */
  follow({ active, candidate }: RolloutState): void {
    if (active === null || candidate === null) {
      if (this.#watched !== undefined) this.#before = { received: 0, lost: 0 };
      this.#watched = undefined;
      return;
    }
    if (this.#watched?.candidate.sinceUs === candidate.sinceUs && this.#watched.candidate.mode === candidate.mode)
      return;
    this.#watched = {
      active,
      candidate,
      ...{ frames: 0, failed: 0, ownTimes: new Ring(keptTimes), activeTimes: new Ring(keptTimes) },
      ...{ inShare: { received: 0, lost: 0 }, others: { received: 0, lost: 0 }, compared: 0 },
      total: { matched: 0, onlyActive: 0, onlyCandidate: 0 },
      ...{ rows: new Map(), halves: new Map() },
    };
  }

  add(record: DetectionFrame): void {
    const watched = this.#watched;
    if (watched === undefined) {
      countFrames(this.#before, record);
      return;
    }
    const { candidate, active } = watched;
    const { digest, role } = record.model;
    const isOwn = digest === candidate.model.digest;
    if (role !== 'SHADOW') {
      // What the change-over finds under way is still the other model's; it says nothing about this one.
      const isCovered = isInShare(record.header.camera_id, candidate);
      countFrames(isCovered ? watched.inShare : watched.others, record);
    }
    if (isOwn && (record.decision === 'ANALYSED' || record.decision === 'FAILED')) {
      watched.frames += 1;
      if (record.decision === 'FAILED') watched.failed += 1;
    }
    const time = record.timing_ms;
    // Boxes that were known from an equal picture took no run.
    if (time !== null && time.inference > 0 && (isOwn || digest === active.digest))
      (isOwn ? watched.ownTimes : watched.activeTimes).add(time.preprocess + time.inference + time.postprocess);
    if (record.decision === 'ANALYSED' && isInShare(record.header.camera_id, candidate)) pair(watched, record, isOwn);
  }

  /** Undefined where nothing is watched. */
  report(): CandidateReport | undefined {
    const watched = this.#watched;
    if (watched === undefined) return undefined;
    const agreement = agreementRatio(watched.total);
    const { matched, onlyActive, onlyCandidate } = watched.total;
    const gate = judgeGate(watched.candidate.gate, {
      frames: watched.frames,
      failed: watched.failed,
      latencyP95Ms: watched.ownTimes.quantile(0.95),
      activeLatencyP95Ms: watched.activeTimes.quantile(0.95),
      objects: matched + onlyActive + onlyCandidate,
      agreement,
      dropRatio: ratioOf(watched.inShare),
      otherDropRatio: ratioOf(watched.others) ?? ratioOf(this.#before),
    });
    const rows = [...watched.rows.values()]
      .map((row) => ({ ...row, ratio: agreementRatio(row) }))
      .sort((a, b) => compareText(a.cameraId, b.cameraId) || compareText(a.className, b.className));
    return { gate, comparedFrames: watched.compared, agreement, rows };
  }
}

function pair(watched: Watched, record: DetectionFrame, isOwn: boolean): void {
  if (!isOwn && record.model.digest !== watched.active.digest) return;
  const { camera_id: cameraId, epoch, frame_seq: frameSeq } = record.header;
  const key = `${cameraId}/${epoch}/${frameSeq}`;
  const other = watched.halves.get(key);
  if (other === undefined || other.model.digest === record.model.digest) {
    watched.halves.set(key, record);
    const [oldest] = watched.halves.size > keptHalves ? watched.halves.keys() : [];
    if (oldest !== undefined) watched.halves.delete(oldest);
    return;
  }
  watched.halves.delete(key);
  watched.compared += 1;
  const [active, candidate] = isOwn ? [other, record] : [record, other];
  for (const [className, seen] of compareObjects(active.objects, candidate.objects)) {
    addTo(watched.total, seen);
    const rowKey = `${cameraId}/${className}`;
    let row = watched.rows.get(rowKey);
    if (row === undefined) {
      if (watched.rows.size >= maxRows) continue;
      watched.rows.set(rowKey, (row = { cameraId, className, matched: 0, onlyActive: 0, onlyCandidate: 0 }));
    }
    addTo(row, seen);
  }
}

function addTo(sum: Tally, seen: ClassAgreement): void {
  sum.matched += seen.matched;
  sum.onlyActive += seen.onlyActive;
  sum.onlyCandidate += seen.onlyCandidate;
}

function countFrames(counts: Counts, { accounting }: DetectionFrame): void {
  counts.received += accounting.frames_received;
  counts.lost += accounting.frames_dropped_ingest + accounting.frames_dropped_deadline;
}

function ratioOf({ received, lost }: Counts): number | null {
  return received === 0 ? null : lost / received;
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** The newest values, at most so many. */
class Ring {
  readonly #capacity: number;
  readonly #values: number[] = [];
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % this.#capacity;
  }

  quantile(share: number): number | null {
    const sorted = [...this.#values].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
  }
}
