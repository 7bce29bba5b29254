import type { CameraStatus, DetectionFrame } from '../../../schemas/index.ts';
import { checkRecord, checkShadow, type Report as ReportProblem, type VerifyRule } from './record-rules.ts';

export interface Violation {
  readonly rule: VerifyRule;
  readonly file: string;
  readonly camera_id: string | null;
  readonly epoch: number | null;
  readonly frame_seq: number | null;
  readonly text: string;
}

export interface CameraVerdict {
  readonly camera_id: string;
  readonly records: number;
  readonly epochs: number;
  readonly frames_received: number;
  readonly frames_analysed: number;
  readonly frames_filtered: number;
  readonly frames_dropped: number;
  readonly frames_expired: number;
  readonly frames_failed: number;
  readonly violations: number;
  /** Epochs whose last frame a CameraStatus confirms. */
  readonly closed_epochs: number;
  /** Epochs that no CameraStatus closes: the writer was killed or still runs, or no statuses were given. What was received after the last record is not known. */
  readonly open_epochs: number;
}

export interface OpenEnd {
  readonly file: string;
  readonly at_byte: number;
  readonly reason: string;
}

export interface VerifyReport {
  /** No violation: every frame that the records speak of is accounted for. Open ends do not count against it. */
  readonly holds: boolean;
  readonly records: number;
  readonly frames_received: number;
  readonly statuses: number;
  /** Records that came again and were left out; without `atLeastOnce` they are violations. */
  readonly repeats: number;
  /** Records of models that only looked on. They are checked by themselves and account for nothing. */
  readonly shadows: number;
  readonly cameras: readonly CameraVerdict[];
  readonly violation_count: number;
  /** The first ones. */
  readonly violations: readonly Violation[];
  /** Files that end in the middle of a block or line, as a killed or running writer leaves them. */
  readonly open_ends: readonly OpenEnd[];
}

/**
 * Proves the accounting of results from the records alone. Give the records of each camera in the order they were written; statuses
 * may come before, between or after. Memory grows with cameras (and their epochs not yet closed), not with records.
 */
export interface VerifyFold {
  addDetection(record: DetectionFrame, file: string): void;
  addStatus(record: CameraStatus): void;
  /** The file ended in the middle of a block or line. */
  addOpenEnd(end: OpenEnd): void;
  /** The file cannot be read from there on. */
  addUnreadable(file: string, text: string): void;
  report(): VerifyReport;
}

/** What is known of records that are a part of a longer row, as of topics that are still written to. */
export interface Excerpt {
  /** Records came before: the first one of a camera may stand in the middle of an epoch. */
  readonly startsMidway: boolean;
  /** When the row was cut off. Frames that a status speaks of may come a little behind it, so its word is then not held against them. */
  readonly endTimeUs: number;
}

/** Far above the oldest frame that is still analysed, and time for a worker to be replaced. */
const settleTimeUs = 60_000_000;

/** A writer sends again at most as many at once. */
const rememberedIds = 1_000;

interface StatedEnd {
  readonly frameSeq: number;
  readonly timeUs: number;
}

interface EpochEnd {
  readonly frameSeq: number;
  readonly file: string;
}

interface CameraState {
  records: number;
  received: number;
  analysed: number;
  filtered: number;
  dropped: number;
  expired: number;
  failed: number;
  violations: number;
  epochs: number;
  closedEpochs: number;
  /** The epoch that records are read of now, and its last record. */
  current: ({ readonly epoch: number } & EpochEnd) | undefined;
  /** Ends of earlier epochs that no status has confirmed yet. */
  readonly recordedEnds: Map<number, EpochEnd>;
  /** The last epoch that both sides were heard on: a camera that stays away tells its last end again with each try. */
  settledEpoch: number | undefined;
  /** Ends that statuses told and records have not reached yet. */
  readonly statedEnds: Map<number, StatedEnd>;
  /** The newest ids, oldest first. */
  readonly recentIds: Set<string>;
  /** Last frames of epochs that went on after another had begun. */
  readonly staleEnds: Map<number, number>;
  /** The epoch that the records begin with. */
  firstEpoch: number | undefined;
}

export function createVerifyFold(options: {
  readonly maxListedViolations: number;
  /** Without it the records are taken for all that there are. */
  readonly excerpt?: Excerpt;
  /** A record that came shortly before, by its message_id, is counted and left out: its writer sends again what it does not know the outcome of. */
  readonly atLeastOnce?: boolean;
}): VerifyFold {
  const { startsMidway = false, endTimeUs = Infinity } = options.excerpt ?? {};
  const cameras = new Map<string, CameraState>();
  const violations: Violation[] = [];
  const openEnds: OpenEnd[] = [];
  let violationCount = 0;
  let statuses = 0;
  let repeats = 0;
  let shadows = 0;

  const note = (violation: Violation): void => {
    violationCount += 1;
    if (violation.camera_id !== null) cameraState(cameras, violation.camera_id).violations += 1;
    if (violations.length < options.maxListedViolations) violations.push(violation);
  };
  const mayFollow = (stated: StatedEnd): boolean => stated.timeUs > endTimeUs - settleTimeUs;
  const checkEnd = (
    cameraId: string,
    camera: CameraState,
    epoch: number,
    recorded: EpochEnd,
    stated: StatedEnd,
  ): void => {
    camera.settledEpoch = epoch;
    if (recorded.frameSeq === stated.frameSeq) {
      camera.closedEpochs += 1;
      return;
    }
    const text = `the records end at frame ${recorded.frameSeq}, but the epoch was closed at frame ${stated.frameSeq}`;
    note({ rule: 'epoch_end', file: recorded.file, camera_id: cameraId, epoch, frame_seq: recorded.frameSeq, text });
  };
  const endEpoch = (
    cameraId: string,
    camera: CameraState,
    { epoch, ...recorded }: NonNullable<CameraState['current']>,
  ): void => {
    const stated = camera.statedEnds.get(epoch);
    // Where the two differ the epoch may go on as a stale one: looked at again in the end.
    if (stated?.frameSeq !== recorded.frameSeq) {
      camera.recordedEnds.set(epoch, recorded);
      return;
    }
    camera.statedEnds.delete(epoch);
    checkEnd(cameraId, camera, epoch, recorded, stated);
  };
  /** An ingest that had lost the camera went on for a while: its frames continue those of its epoch, beside those of the new one. */
  const addStale = (camera: CameraState, { header, accounting }: DetectionFrame, report: ReportProblem): void => {
    const { epoch, frame_seq: frameSeq } = header;
    const before = camera.staleEnds.get(epoch) ?? camera.recordedEnds.get(epoch)?.frameSeq ?? 0;
    if (frameSeq <= before) {
      report('order', `of an epoch that is over, and comes after its frame ${before}: repeated or out of order`);
      return;
    }
    // What the epoch's own records came to is not known where it was settled or begins outside of what is read.
    const isKnown = camera.staleEnds.has(epoch) || camera.recordedEnds.has(epoch);
    if (isKnown && accounting.frames_received !== frameSeq - before)
      report(
        'gap',
        `${frameSeq - before} frames since frame ${before}, but frames_received is ${accounting.frames_received}`,
      );
    camera.staleEnds.set(epoch, frameSeq);
    const recorded = camera.recordedEnds.get(epoch);
    if (recorded !== undefined) camera.recordedEnds.set(epoch, { ...recorded, frameSeq });
  };
  const endLastEpoch = (cameraId: string, camera: CameraState): void => {
    if (camera.current === undefined) return;
    const { epoch, frameSeq } = camera.current;
    const stated = camera.statedEnds.get(epoch);
    if (stated !== undefined && frameSeq < stated.frameSeq && mayFollow(stated)) camera.statedEnds.delete(epoch);
    endEpoch(cameraId, camera, camera.current);
    camera.current = undefined;
  };
  /** Epochs of which a status speaks and no record does. */
  const reportUnread = (cameraId: string, camera: CameraState): void => {
    for (const [epoch, stated] of camera.statedEnds) {
      const recorded = camera.recordedEnds.get(epoch);
      if (recorded !== undefined) {
        camera.recordedEnds.delete(epoch);
        checkEnd(cameraId, camera, epoch, recorded, stated);
        continue;
      }
      // Its records are older than the excerpt. Of a camera without records nothing tells whether it had some in this time.
      if (startsMidway && (camera.firstEpoch === undefined || epoch < camera.firstEpoch)) continue;
      if (mayFollow(stated)) continue;
      const text = `closed at frame ${stated.frameSeq}, but no record speaks of this epoch`;
      note({ rule: 'epoch_end', file: '', camera_id: cameraId, epoch, frame_seq: null, text });
    }
    camera.statedEnds.clear();
  };

  return {
    addDetection(record, file) {
      const { camera_id: cameraId, epoch, frame_seq: frameSeq } = record.header;
      const report = (rule: VerifyRule, text: string): void =>
        note({ rule, file, camera_id: cameraId, epoch, frame_seq: frameSeq, text });
      if (record.model.role === 'SHADOW') {
        shadows += 1;
        checkShadow(record, report);
        return;
      }
      const camera = cameraState(cameras, cameraId);
      if (options.atLeastOnce === true && cameBefore(camera, record.header.message_id)) {
        repeats += 1;
        return;
      }
      addUp(camera, record);
      checkRecord(record, report);
      const previous = camera.current;
      if (previous !== undefined && epoch < previous.epoch && isSaidStale(record)) {
        addStale(camera, record, report);
        return;
      }
      if (
        previous !== undefined &&
        (epoch < previous.epoch || (epoch === previous.epoch && frameSeq <= previous.frameSeq))
      ) {
        const text = `comes after epoch ${previous.epoch} frame ${previous.frameSeq}: repeated or out of order`;
        report('order', text);
        return;
      }
      const isNewEpoch = previous?.epoch !== epoch;
      const span = frameSeq - (isNewEpoch ? 0 : previous.frameSeq);
      const received = record.accounting.frames_received;
      const isFirstOfExcerpt = startsMidway && previous === undefined;
      camera.firstEpoch ??= epoch;
      if (isFirstOfExcerpt ? received > span : received !== span) {
        const since = isNewEpoch ? 'the beginning of the epoch' : `frame ${previous.frameSeq}`;
        report('gap', `${span} frames since ${since}, but frames_received is ${received}`);
      }
      if (isNewEpoch) {
        camera.epochs += 1;
        if (previous !== undefined) endEpoch(cameraId, camera, previous);
      }
      camera.current = { epoch, frameSeq, file };
    },
    addStatus(record) {
      statuses += 1;
      if (record.state !== 'OFFLINE' && record.state !== 'ENDED') return;
      const camera = cameraState(cameras, record.camera_id);
      if (record.epoch === camera.settledEpoch) return;
      const recorded = camera.recordedEnds.get(record.epoch);
      if (recorded === undefined) {
        if (record.frame_seq === 0) return;
        // Told again with each try to reconnect; the first time is when it closed.
        if (camera.statedEnds.get(record.epoch)?.frameSeq === record.frame_seq) return;
        camera.statedEnds.set(record.epoch, { frameSeq: record.frame_seq, timeUs: record.time });
        return;
      }
      const stated = { frameSeq: record.frame_seq, timeUs: record.time };
      if (recorded.frameSeq !== stated.frameSeq) {
        camera.statedEnds.set(record.epoch, stated);
        return;
      }
      camera.recordedEnds.delete(record.epoch);
      checkEnd(record.camera_id, camera, record.epoch, recorded, stated);
    },
    addOpenEnd(end) {
      openEnds.push(end);
    },
    addUnreadable(file, text) {
      note({ rule: 'unreadable', file, camera_id: null, epoch: null, frame_seq: null, text });
    },
    report() {
      for (const [cameraId, camera] of cameras) {
        endLastEpoch(cameraId, camera);
        reportUnread(cameraId, camera);
      }
      const verdicts = [...cameras]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([cameraId, camera]) => toVerdict(cameraId, camera));
      return {
        holds: violationCount === 0,
        records: verdicts.reduce((sum, camera) => sum + camera.records, 0),
        frames_received: verdicts.reduce((sum, camera) => sum + camera.frames_received, 0),
        statuses,
        repeats,
        shadows,
        cameras: verdicts,
        violation_count: violationCount,
        violations,
        open_ends: openEnds,
      };
    },
  };
}

function cameraState(cameras: Map<string, CameraState>, cameraId: string): CameraState {
  let camera = cameras.get(cameraId);
  if (camera === undefined) {
    camera = {
      records: 0,
      received: 0,
      analysed: 0,
      filtered: 0,
      dropped: 0,
      expired: 0,
      failed: 0,
      violations: 0,
      epochs: 0,
      closedEpochs: 0,
      current: undefined,
      recordedEnds: new Map(),
      settledEpoch: undefined,
      statedEnds: new Map(),
      recentIds: new Set(),
      staleEnds: new Map(),
      firstEpoch: undefined,
    };
    cameras.set(cameraId, camera);
  }
  return camera;
}

/** Dropped because a later epoch had begun, or the record that closes an epoch, which holds no picture. */
function isSaidStale({ decision }: DetectionFrame): boolean {
  return decision === 'FILTERED_MOTION' || decision === 'DROPPED';
}

function cameBefore({ recentIds }: CameraState, messageId: string): boolean {
  if (recentIds.has(messageId)) return true;
  recentIds.add(messageId);
  const [oldest] = recentIds.size > rememberedIds ? recentIds : [];
  if (oldest !== undefined) recentIds.delete(oldest);
  return false;
}

function addUp(camera: CameraState, { accounting }: DetectionFrame): void {
  camera.records += 1;
  camera.received += accounting.frames_received;
  camera.analysed += accounting.frames_analysed;
  camera.filtered += accounting.frames_filtered;
  camera.dropped += accounting.frames_dropped_ingest;
  camera.expired += accounting.frames_dropped_deadline;
  camera.failed += accounting.frames_failed;
}

function toVerdict(cameraId: string, camera: CameraState): CameraVerdict {
  return {
    camera_id: cameraId,
    records: camera.records,
    epochs: camera.epochs,
    frames_received: camera.received,
    frames_analysed: camera.analysed,
    frames_filtered: camera.filtered,
    frames_dropped: camera.dropped,
    frames_expired: camera.expired,
    frames_failed: camera.failed,
    violations: camera.violations,
    closed_epochs: camera.closedEpochs,
    open_epochs: camera.recordedEnds.size,
  };
}
