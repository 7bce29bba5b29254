import type { Clock } from '#shared/core/clock';
import { AppError, toAppError } from '#shared/core/errors';
import type { FrameImage, FrameTimes, SampledFrame } from '#shared/core/frame';
import {
  inferenceSize,
  placeImage,
  toPictureBox,
  type InputGeometry,
  type SizePx,
} from '#shared/core/inference-geometry';
import type { Logger } from '#shared/core/logger';
import { messageId } from '#shared/core/message-id';
import type { Metrics } from '#shared/core/metrics';
import type { Readiness, Service } from '#shared/core/service';
import type {
  AccountingRecord,
  Decision,
  DetectedObjectRecord,
  DetectionFrame,
  ModelRecord,
  ProducerRecord,
  TimingRecord,
} from '#schemas';
import type { DetectionCache } from './core/detection-cache.ts';
import { detectionStride } from './core/detections.ts';
import type { EngineOutcome, ImageDecoder, InferenceEngine } from './core/ports.ts';

export interface InferenceServiceOptions {
  readonly engine: InferenceEngine;
  /** For frames that come encoded from other processes. */
  readonly decoder?: ImageDecoder;
  /** Boxes of encoded frames that were run before. */
  readonly cache?: DetectionCache;
  readonly producer: ProducerRecord;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface InferenceService extends Service {
  /** The size and resize rule of the model's input; `inferenceSize` of inference-geometry.ts works with it. */
  readonly inputGeometry: InputGeometry;
  readonly model: ModelRecord;
  /** The exact size that a picture (or the part of it that is analysed) has to be scaled to. */
  sizeFor(sourceWidthPx: number, sourceHeightPx: number): SizePx;
  /**
   * The one record of a frame, whatever became of it; never rejects. Calls may run side by side: keeping the order of a camera is the
   * caller's affair. The frame's buffer is taken.
   */
  analyse(frame: SampledFrame): Promise<DetectionFrame>;
  /** The record of a frame that came after a later epoch had begun: it is not run, and said to be dropped as `stale_epoch`. */
  stale(frame: SampledFrame): DetectionFrame;
  /** Resolves when a frame handed in now would be run next; rejects only with the signal's reason. */
  whenFree(signal?: AbortSignal): Promise<void>;
}

export function createInferenceService(options: InferenceServiceOptions): InferenceService {
  const { engine, producer, clock, metrics } = options;
  const { manifest } = engine;
  const { input, labels } = manifest;
  const model: ModelRecord = {
    name: manifest.name,
    version: manifest.version,
    digest: engine.digest,
    runtime: engine.runtime,
    precision: manifest.precision,
    input_width_px: input.widthPx,
    input_height_px: input.heightPx,
    role: 'PRIMARY',
  };
  const logger = options.logger.child({ model: manifest.name });
  const numbers = inferenceNumbers(metrics, engine);
  const neverFinished = new Promise<void>(() => undefined);
  /** Code of the failure that is going on, so that a thousand equal ones are two lines. */
  let failing: { code: string; count: number } | undefined;

  function record(frame: SampledFrame, decision: Decision, change: RecordChange): DetectionFrame {
    const nowUs = clock.nowUs();
    const { times } = frame;
    return {
      header: {
        message_id: messageId(frame.cameraId, frame.epoch, frame.frameSeq, engine.digest),
        camera_id: frame.cameraId,
        epoch: frame.epoch,
        frame_seq: frame.frameSeq,
        capture_time: times.captureTimeUs,
        capture_time_source: times.captureTimeSource,
        capture_time_error_ms: times.captureTimeErrorMs,
        ingest_time: times.ingestTimeUs,
        publish_time: nowUs,
        pts_us: times.ptsUs,
        producer,
        tags: frame.tags,
      },
      frame_width_px: frame.sourceWidthPx,
      frame_height_px: frame.sourceHeightPx,
      decision,
      failure_code: change.failureCode ?? null,
      model,
      objects: change.objects ?? [],
      motion: frame.motion,
      accounting: change.accounting ?? frame.accounting,
      timing_ms:
        change.timing === undefined
          ? null
          : { ...change.timing, capture_to_result: (nowUs - latencyStartUs(times)) / 1000 },
    };
  }

  function analysed(frame: SampledFrame, size: SizePx, calledUs: number, outcome: DetectedOutcome): DetectionFrame {
    const timing = {
      queue: Math.max(0, (calledUs - frame.times.ingestTimeUs) / 1000) + outcome.waitedMs,
      preprocess: outcome.preprocessMs,
      inference: outcome.inferenceMs,
      postprocess: outcome.postprocessMs,
    };
    numbers.analysed(timing);
    if (failing !== undefined) {
      logger.info({ code: failing.code, frames: failing.count }, 'inference works again');
      failing = undefined;
    }
    const placed = placeImage({ widthPx: size.widthPx, heightPx: size.heightPx }, input);
    return record(frame, 'ANALYSED', { timing, objects: objectsOf(outcome.boxes, placed, frame.crop ?? null, labels) });
  }

  function failed(frame: SampledFrame, thrown: unknown): DetectionFrame {
    const error = toAppError(thrown);
    numbers.failed();
    if (failing?.code === error.code) failing.count++;
    else {
      failing = { code: error.code, count: 1 };
      logger.error(
        { code: error.code, reason: error.message, cameraId: frame.cameraId },
        'frame could not be analysed',
      );
    }
    return record(frame, 'FAILED', { failureCode: error.code, accounting: movedTo(frame.accounting, 'frames_failed') });
  }

  async function detect(image: FrameImage, deadlineMs: number | null): Promise<EngineOutcome> {
    if (image.format !== 'jpeg') return engine.detect(image, { deadlineMs });
    if (options.decoder === undefined)
      throw new AppError('SIGHTLINE_INTERNAL', 'an encoded frame came where none are decoded');
    // Before the decoding, which costs a tenth of a run.
    if (deadlineMs !== null && clock.monotonicMs() > deadlineMs) return { kind: 'expired' };
    const known = await options.cache?.find(image);
    if (known?.boxes !== undefined) {
      numbers.known();
      return { kind: 'detected', boxes: known.boxes, waitedMs: 0, preprocessMs: 0, inferenceMs: 0, postprocessMs: 0 };
    }
    const outcome = await engine.detect(await options.decoder.decode(image), { deadlineMs });
    // Nobody waits for it, it never rejects, and the cache bounds how many are under way.
    if (known !== undefined && outcome.kind === 'detected') void options.cache?.keep(known.key, outcome.boxes);
    return outcome;
  }

  async function analyse(frame: SampledFrame): Promise<DetectionFrame> {
    if (frame.fate === 'filtered') return record(frame, 'FILTERED_MOTION', {});
    if (frame.fate === 'dropped') return record(frame, 'DROPPED', {});
    const calledUs = clock.nowUs();
    try {
      const { image } = frame;
      if (image === null)
        throw new AppError('SIGHTLINE_FRAME_SIZE_INVALID', 'a frame to be analysed came without an image');
      const size = { widthPx: image.widthPx, heightPx: image.heightPx };
      const outcome = await detect(image, frame.deadlineMs);
      if (outcome.kind === 'detected') return analysed(frame, size, calledUs, outcome);
      numbers.expired();
      return record(frame, 'EXPIRED', { accounting: movedTo(frame.accounting, 'frames_dropped_deadline') });
    } catch (error) {
      return failed(frame, error);
    }
  }

  return {
    name: 'inference',
    inputGeometry: { widthPx: input.widthPx, heightPx: input.heightPx, resize: input.resize },
    model,
    sizeFor: (sourceWidthPx, sourceHeightPx) => inferenceSize(sourceWidthPx, sourceHeightPx, input),
    start: () => engine.start(),
    finished: neverFinished,
    analyse,
    stale(frame) {
      numbers.stale();
      // A closing frame counts frames that were dropped or filtered in time.
      if (frame.fate !== 'analyse') return record(frame, frame.fate === 'filtered' ? 'FILTERED_MOTION' : 'DROPPED', {});
      const accounting = movedTo(frame.accounting, 'frames_dropped_ingest');
      const reasons = accounting.drops_by_reason;
      return record(frame, 'DROPPED', {
        accounting: { ...accounting, drops_by_reason: { ...reasons, stale_epoch: (reasons.stale_epoch ?? 0) + 1 } },
      });
    },
    whenFree: (signal) => engine.whenFree(signal),
    drain: () => engine.drain(),
    close: () => engine.close(),
    readiness(): Readiness {
      return engine.state === 'running' ? { ready: true } : { ready: false, reason: `inference is ${engine.state}` };
    },
  };
}

type DetectedOutcome = Extract<EngineOutcome, { kind: 'detected' }>;

interface RecordChange {
  readonly failureCode?: string;
  readonly objects?: readonly DetectedObjectRecord[];
  readonly accounting?: AccountingRecord;
  readonly timing?: Omit<TimingRecord, 'capture_to_result'>;
}

function objectsOf(
  boxes: Float32Array,
  placed: ReturnType<typeof placeImage>,
  crop: SampledFrame['crop'] | null,
  labels: readonly string[],
): DetectedObjectRecord[] {
  const objects: DetectedObjectRecord[] = [];
  for (let at = 0; at + detectionStride <= boxes.length; at += detectionStride) {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, confidence = 0, classId = 0] = boxes.subarray(at, at + detectionStride);
    const bbox = toPictureBox({ x1, y1, x2, y2 }, placed, crop ?? null);
    // A box that lies wholly in the padding is none.
    if (bbox !== null)
      objects.push({ class_id: classId, class_name: labels[classId] ?? String(classId), confidence, bbox });
  }
  return objects;
}

/** Ingest counted this frame as analysed; it turned out otherwise, and the sum has to stay. */
/** A recording was made long ago: what its age is at the end says nothing about us, so its time counts from ingest. */
function latencyStartUs(times: FrameTimes): number {
  return times.captureTimeSource === 'CONTAINER' ? times.ingestTimeUs : times.captureTimeUs;
}

function movedTo(
  accounting: AccountingRecord,
  field: 'frames_failed' | 'frames_dropped_deadline' | 'frames_dropped_ingest',
): AccountingRecord {
  return { ...accounting, frames_analysed: accounting.frames_analysed - 1, [field]: accounting[field] + 1 };
}

function inferenceNumbers(metrics: Metrics, engine: InferenceEngine) {
  const frames = metrics.counter({
    name: 'sightline_inference_frames_total',
    help: 'Frames that inference ended with, by outcome.',
    labels: ['outcome'],
  });
  const seconds = metrics.histogram({
    name: 'sightline_inference_step_seconds',
    help: 'Time that a frame spent in each step of inference.',
    labels: ['step'],
    buckets: [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  });
  metrics
    .gauge({ name: 'sightline_inference_queue_frames', help: 'Frames that wait for an inference worker.' })
    .with({})
    .follow(() => engine.queued);
  const known = metrics
    .counter({
      name: 'sightline_inference_known_frames_total',
      help: 'Analysed frames whose boxes were known from an equal picture, so that the model was not run.',
    })
    .with({});
  const analysed = frames.with({ outcome: 'analysed' });
  const expired = frames.with({ outcome: 'expired' });
  const failed = frames.with({ outcome: 'failed' });
  const stale = frames.with({ outcome: 'stale_epoch' });
  const queue = seconds.with({ step: 'queue' });
  const preprocess = seconds.with({ step: 'preprocess' });
  const inference = seconds.with({ step: 'inference' });
  const postprocess = seconds.with({ step: 'postprocess' });
  return {
    analysed(timing: Omit<TimingRecord, 'capture_to_result'>): void {
      analysed.add();
      queue.observe(timing.queue / 1000);
      preprocess.observe(timing.preprocess / 1000);
      inference.observe(timing.inference / 1000);
      postprocess.observe(timing.postprocess / 1000);
    },
    known: (): void => {
      known.add();
    },
    expired: (): void => {
      expired.add();
    },
    failed: (): void => {
      failed.add();
    },
    stale: (): void => {
      stale.add();
    },
  };
}
