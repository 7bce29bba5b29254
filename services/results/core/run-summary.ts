import type { DetectionFrame, TimingRecord } from '../../../schemas/index.ts';
import { createQuantileSketch, type QuantileSketch } from './quantile-sketch.ts';

/** Percentiles in milliseconds, each within 1 % (see quantile-sketch.ts); null where there was nothing to measure. */
export interface Percentiles {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

export interface CameraSummary {
  readonly camera_id: string;
  readonly epochs: number;
  readonly frames_received: number;
  readonly frames_analysed: number;
  readonly frames_filtered: number;
  readonly frames_dropped: number;
  /** frames_dropped by reason (DropReason, or one of a later version). */
  readonly drops_by_reason: Readonly<Record<string, number>>;
  readonly frames_expired: number;
  readonly frames_failed: number;
  readonly decode_errors: number;
  readonly objects: number;
  readonly objects_by_class: Readonly<Record<string, number>>;
  /** Analysed frames per second of camera time; null where there are not two of them in one epoch. */
  readonly fps: number | null;
  /** Analysed frames per second of our own time; above `fps` where a file is read faster than it plays. */
  readonly processing_fps: number | null;
  /** From capture to result. */
  readonly latency_ms: Percentiles;
  readonly timing_ms: Readonly<Record<Exclude<keyof TimingRecord, 'capture_to_result'>, Percentiles>>;
  /** Microseconds since 1970-01-01 UTC. */
  readonly first_capture_time: number;
  readonly last_capture_time: number;
  /** CPU of all our processes for one analysed frame; null where the caller did not measure it. */
  readonly cpu_ms_per_analysed_frame: number | null;
}

export interface RunSummary {
  readonly cameras: readonly CameraSummary[];
  readonly records: number;
}

/** What the records cannot know and the caller measured. */
export interface RunMeasurements {
  /** CPU time of the run in milliseconds; shared among the cameras by analysed frames. */
  readonly cpuMs?: number;
}

/** Adds up DetectionFrame records one by one; memory grows with cameras and classes, not with records. */
export interface RunSummaryFold {
  add(record: DetectionFrame): void;
  summary(measured?: RunMeasurements): RunSummary;
}

const stages = ['queue', 'preprocess', 'inference', 'postprocess'] as const;
type Stage = (typeof stages)[number];

interface CameraTotals {
  epochs: number;
  epoch: number | undefined;
  received: number;
  analysed: number;
  filtered: number;
  dropped: number;
  expired: number;
  failed: number;
  decodeErrors: number;
  objects: number;
  readonly drops: Map<string, number>;
  readonly classes: Map<string, number>;
  readonly latency: QuantileSketch;
  readonly timing: Readonly<Record<Stage, QuantileSketch>>;
  firstCaptureTime: number;
  lastCaptureTime: number;
  /** Of the epoch's last analysed frame. */
  previous: { captureTime: number; publishTime: number } | undefined;
  intervals: number;
  cameraSpanUs: number;
  ownSpanUs: number;
}

export function createRunSummary(): RunSummaryFold {
  const cameras = new Map<string, CameraTotals>();
  let records = 0;
  return {
    add(record) {
      records += 1;
      // What a shadow saw is no result of the camera.
      if (record.model.role === 'SHADOW') return;
      const { camera_id: cameraId } = record.header;
      let totals = cameras.get(cameraId);
      if (totals === undefined) {
        totals = newTotals(record.header.capture_time);
        cameras.set(cameraId, totals);
      }
      addRecord(totals, record);
    },
    summary(measured = {}) {
      const analysed = [...cameras.values()].reduce((sum, totals) => sum + totals.analysed, 0);
      const cpuMsPerFrame = measured.cpuMs === undefined || analysed === 0 ? null : measured.cpuMs / analysed;
      return {
        cameras: [...cameras]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([cameraId, totals]) => summarise(cameraId, totals, cpuMsPerFrame)),
        records,
      };
    },
  };
}

function newTotals(captureTime: number): CameraTotals {
  return {
    epochs: 0,
    epoch: undefined,
    received: 0,
    analysed: 0,
    filtered: 0,
    dropped: 0,
    expired: 0,
    failed: 0,
    decodeErrors: 0,
    objects: 0,
    drops: new Map(),
    classes: new Map(),
    latency: createQuantileSketch(),
    timing: {
      queue: createQuantileSketch(),
      preprocess: createQuantileSketch(),
      inference: createQuantileSketch(),
      postprocess: createQuantileSketch(),
    },
    firstCaptureTime: captureTime,
    lastCaptureTime: captureTime,
    previous: undefined,
    intervals: 0,
    cameraSpanUs: 0,
    ownSpanUs: 0,
  };
}

function addRecord(totals: CameraTotals, record: DetectionFrame): void {
  const { header, accounting } = record;
  if (header.epoch !== totals.epoch) {
    totals.epoch = header.epoch;
    totals.epochs += 1;
    totals.previous = undefined;
  }
  totals.received += accounting.frames_received;
  totals.analysed += accounting.frames_analysed;
  totals.filtered += accounting.frames_filtered;
  totals.dropped += accounting.frames_dropped_ingest;
  totals.expired += accounting.frames_dropped_deadline;
  totals.failed += accounting.frames_failed;
  totals.decodeErrors += accounting.decode_errors;
  for (const [reason, frames] of Object.entries(accounting.drops_by_reason)) count(totals.drops, reason, frames);
  totals.objects += record.objects.length;
  for (const object of record.objects) count(totals.classes, object.class_name, 1);
  totals.firstCaptureTime = Math.min(totals.firstCaptureTime, header.capture_time);
  totals.lastCaptureTime = Math.max(totals.lastCaptureTime, header.capture_time);
  if (record.decision !== 'ANALYSED') return;
  if (record.timing_ms !== null) {
    totals.latency.add(record.timing_ms.capture_to_result);
    for (const stage of stages) totals.timing[stage].add(record.timing_ms[stage]);
  }
  if (totals.previous !== undefined) {
    totals.intervals += 1;
    totals.cameraSpanUs += header.capture_time - totals.previous.captureTime;
    totals.ownSpanUs += header.publish_time - totals.previous.publishTime;
  }
  totals.previous = { captureTime: header.capture_time, publishTime: header.publish_time };
}

function count(counts: Map<string, number>, key: string, amount: number): void {
  counts.set(key, (counts.get(key) ?? 0) + amount);
}

function summarise(cameraId: string, totals: CameraTotals, cpuMsPerFrame: number | null): CameraSummary {
  return {
    camera_id: cameraId,
    epochs: totals.epochs,
    frames_received: totals.received,
    frames_analysed: totals.analysed,
    frames_filtered: totals.filtered,
    frames_dropped: totals.dropped,
    drops_by_reason: Object.fromEntries(totals.drops),
    frames_expired: totals.expired,
    frames_failed: totals.failed,
    decode_errors: totals.decodeErrors,
    objects: totals.objects,
    objects_by_class: Object.fromEntries([...totals.classes].sort(([, a], [, b]) => b - a)),
    fps: perSecond(totals.intervals, totals.cameraSpanUs),
    processing_fps: perSecond(totals.intervals, totals.ownSpanUs),
    latency_ms: percentiles(totals.latency),
    timing_ms: {
      queue: percentiles(totals.timing.queue),
      preprocess: percentiles(totals.timing.preprocess),
      inference: percentiles(totals.timing.inference),
      postprocess: percentiles(totals.timing.postprocess),
    },
    first_capture_time: totals.firstCaptureTime,
    last_capture_time: totals.lastCaptureTime,
    cpu_ms_per_analysed_frame: totals.analysed === 0 ? null : cpuMsPerFrame,
  };
}

function perSecond(intervals: number, spanUs: number): number | null {
  return intervals === 0 || spanUs <= 0 ? null : round((intervals * 1e6) / spanUs);
}

function percentiles(sketch: QuantileSketch): Percentiles {
  const at = (q: number): number | null => {
    const value = sketch.quantile(q);
    return value === null ? null : round(value);
  };
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

// Microseconds are all that the clocks give; more digits would only be noise in the output.
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
