import type { Clock } from '#shared/core/clock';
import { AppError, toAppError } from '#shared/core/errors';
import type { SampledFrame } from '#shared/core/frame';
import { inferenceSize, placeImage, type InputGeometry, type SizePx } from '#shared/core/inference-geometry';
import type { Logger } from '#shared/core/logger';
import type { Metrics } from '#shared/core/metrics';
import type { RolloutStage } from '#shared/core/rollout/rollout-controller';
import type { Readiness, Service } from '#shared/core/service';
import type { DetectionFrame, ModelRecord, ProducerRecord, TimingRecord } from '#schemas';
import type { DetectionCache } from './core/detection-cache.ts';
import { wantedSize } from './core/fit-image.ts';
import {
  executionProviders,
  type EngineOutcome,
  type ImageDetections,
  type InferenceEngine,
  type OpenEngine,
} from './core/ports.ts';
import { createRecordMaker, movedTo, objectsOf } from './detection-record.ts';
import type { DriftWatch } from './drift-watch.ts';
import { ModelDeck, type ModelLane } from './model-deck.ts';

export interface InferenceServiceOptions {
  /** With the model that it starts with. */
  readonly engine: InferenceEngine;
  /** For other versions while it runs; without it the model never changes. */
  readonly openEngine?: OpenEngine;
  /** Boxes of encoded frames that were run before, by the engine's model. */
  readonly cacheOf?: (engine: InferenceEngine) => DetectionCache | undefined;
  /** Takes the record of a shadow run. What the frame's own record waits for never waits for this. */
  readonly onShadow?: (record: DetectionFrame) => Promise<void>;
  /** Follows what cameras show and the model makes of it. */
  readonly drift?: Pick<DriftWatch, 'add'>;
  /** How long the version before stays loaded after a change. Default 5 minutes: by then somebody has seen whether the new one is any good. */
  readonly keepWarmMs?: number;
  readonly producer: ProducerRecord;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface InferenceService extends Service {
  /** The size and resize rule of the active model's input; `inferenceSize` of inference-geometry.ts works with it. */
  readonly inputGeometry: InputGeometry;
  /** The active model. */
  readonly model: ModelRecord;
  /** Where roll-outs are carried out. */
  readonly stage: RolloutStage;
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

const defaultKeepWarmMs = 5 * 60_000;

export function createInferenceService(options: InferenceServiceOptions): InferenceService {
  const { engine, openEngine, cacheOf, producer, clock, metrics, logger } = options;
  const deck = new ModelDeck({
    ...{ engine, clock, logger, keepWarmMs: options.keepWarmMs ?? defaultKeepWarmMs },
    ...(openEngine === undefined ? {} : { openEngine }),
    ...(cacheOf === undefined ? {} : { cacheOf }),
  });
  const numbers = inferenceNumbers(metrics, deck);
  const record = createRecordMaker({ producer, clock });
  const neverFinished = new Promise<void>(() => undefined);
  const shadows = new Set<Promise<void>>();
  let lostShadow = '';

  function analysed(
    frame: SampledFrame,
    lane: ModelLane,
    model: ModelRecord,
    calledUs: number,
    done: Detected,
  ): DetectionFrame {
    const { outcome, size } = done;
    const timing = {
      queue: Math.max(0, (calledUs - frame.times.ingestTimeUs) / 1000) + outcome.waitedMs,
      preprocess: outcome.preprocessMs,
      inference: outcome.inferenceMs,
      postprocess: outcome.postprocessMs,
    };
    if (model.role === 'PRIMARY') numbers.analysed(timing);
    else numbers.shadow('analysed');
    if (lane.failing !== undefined) {
      lane.logger.info({ code: lane.failing.code, frames: lane.failing.count }, 'inference works again');
      lane.failing = undefined;
    }
    const objects = objectsOf(outcome, placeImage(size, lane.engine.manifest.input), frame.crop ?? null, lane.names);
    if (model.role === 'PRIMARY') {
      const { cameraId, times } = frame;
      const timeMs = times.ingestTimeUs / 1000;
      options.drift?.add({ cameraId, modelDigest: model.digest, timeMs, objects, brightness: outcome.brightness });
    }
    return record(frame, model, 'ANALYSED', { timing, objects });
  }

  function failed(frame: SampledFrame, lane: ModelLane, model: ModelRecord, thrown: unknown): DetectionFrame {
    const error = toAppError(thrown);
    if (model.role === 'PRIMARY') numbers.failed();
    else numbers.shadow('failed');
    if (lane.failing?.code === error.code) lane.failing.count++;
    else {
      lane.failing = { code: error.code, count: 1 };
      lane.logger.error(
        { code: error.code, reason: error.message, cameraId: frame.cameraId },
        'frame could not be analysed',
      );
    }
    const accounting = movedTo(frame.accounting, 'frames_failed');
    return record(frame, model, 'FAILED', { failureCode: error.code, accounting });
  }

  async function detect(frame: SampledFrame, lane: ModelLane): Promise<Detected | 'expired'> {
    const { image, deadlineMs } = frame;
    if (image === null)
      throw new AppError('SIGHTLINE_FRAME_SIZE_INVALID', 'a frame to be analysed came without an image');
    const isEncoded = image.format === 'jpeg';
    // Before others are asked whether it is known. Pixels go the same way when they are too late, since the engine gives their buffer back.
    if (isEncoded && deadlineMs !== null && clock.monotonicMs() > deadlineMs) return 'expired';
    const known = isEncoded ? await lane.cache?.find(image) : undefined;
    const fitTo = wantedSize(frame, image, lane.engine.manifest.input);
    const size = fitTo ?? image;
    if (known?.found !== undefined) {
      numbers.known();
      return { size, outcome: { kind: 'detected', ...known.found, brightness: null, ...noTime } };
    }
    const wantsBrightness = options.drift !== undefined;
    const outcome = await lane.engine.detect(image, { deadlineMs, fitTo, wantsBrightness });
    if (outcome.kind === 'expired') return 'expired';
    numbers.described(outcome);
    // Nobody waits for it, it never rejects, and the cache bounds how many are under way.
    if (known !== undefined) void lane.cache?.keep(known.key, outcome);
    return { size, outcome };
  }

  async function analyse(frame: SampledFrame): Promise<DetectionFrame> {
    // Here it is decided which version the frame belongs to; a change from now on is for the next one.
    const { primary, shadow } = deck.lanesFor(frame.cameraId);
    const { model } = primary;
    if (frame.fate === 'filtered') return record(frame, model, 'FILTERED_MOTION', {});
    if (frame.fate === 'dropped') return record(frame, model, 'DROPPED', {});
    const calledUs = clock.nowUs();
    if (shadow !== undefined) beginShadow(frame, shadow, calledUs);
    primary.inFlight++;
    try {
      const done = await detect(frame, primary);
      if (done !== 'expired') return analysed(frame, primary, model, calledUs, done);
      numbers.expired();
      return record(frame, model, 'EXPIRED', { accounting: movedTo(frame.accounting, 'frames_dropped_deadline') });
    } catch (error) {
      return failed(frame, primary, model, error);
    } finally {
      primary.inFlight--;
    }
  }

  /** A shadow must not keep the others waiting: what it has no room for it leaves out. */
  function beginShadow(frame: SampledFrame, lane: ModelLane, calledUs: number): void {
    const { image } = frame;
    if (image === null || options.onShadow === undefined) return;
    if (lane.shadowInFlight > lane.engine.workers) {
      numbers.shadow('left_out');
      return;
    }
    // The pixels are handed over with the frame, so the shadow gets its own.
    const own: SampledFrame = {
      ...frame,
      image: image.format === 'jpeg' ? image : { ...image, data: image.data.slice() },
    };
    lane.shadowInFlight++;
    const done = runShadow(own, lane, calledUs).finally(() => {
      lane.shadowInFlight--;
      shadows.delete(done);
    });
    shadows.add(done);
  }

  async function runShadow(frame: SampledFrame, lane: ModelLane, calledUs: number): Promise<void> {
    const model: ModelRecord = { ...lane.model, role: 'SHADOW' };
    let made: DetectionFrame;
    try {
      const done = await detect(frame, lane);
      if (done === 'expired') {
        numbers.shadow('left_out');
        return;
      }
      made = analysed(frame, lane, model, calledUs, done);
    } catch (error) {
      made = failed(frame, lane, model, error);
    }
    try {
      await options.onShadow?.(made);
      lostShadow = '';
    } catch (thrown) {
      const { code, message } = toAppError(thrown);
      numbers.shadow('lost');
      if (lostShadow !== code) lane.logger.warn({ code, reason: message }, 'result of a shadow could not be handed on');
      lostShadow = code;
    }
  }

  return {
    name: 'inference',
    get inputGeometry() {
      const { widthPx, heightPx, resize } = deck.active.engine.manifest.input;
      return { widthPx, heightPx, resize };
    },
    get model() {
      return deck.active.model;
    },
    stage: {
      prepare: (model) => deck.prepare(model),
      follow: (state) => deck.follow(state),
    },
    sizeFor: (sourceWidthPx, sourceHeightPx) =>
      inferenceSize(sourceWidthPx, sourceHeightPx, deck.active.engine.manifest.input),
    start: () => engine.start(),
    finished: neverFinished,
    analyse,
    stale(frame) {
      numbers.stale();
      const { model } = deck.lanesFor(frame.cameraId).primary;
      // A closing frame counts frames that were dropped or filtered in time.
      if (frame.fate !== 'analyse')
        return record(frame, model, frame.fate === 'filtered' ? 'FILTERED_MOTION' : 'DROPPED', {});
      const accounting = movedTo(frame.accounting, 'frames_dropped_ingest');
      const reasons = accounting.drops_by_reason;
      return record(frame, model, 'DROPPED', {
        accounting: { ...accounting, drops_by_reason: { ...reasons, stale_epoch: (reasons.stale_epoch ?? 0) + 1 } },
      });
    },
    whenFree: (signal) => deck.active.engine.whenFree(signal),
    async drain() {
      await Promise.all(shadows);
      await deck.drain();
    },
    close: () => deck.close(),
    readiness(): Readiness {
      const { state } = deck.active.engine;
      return state === 'running' ? { ready: true } : { ready: false, reason: `inference is ${state}` };
    },
  };
}

/** `size`: of the picture as it was given to the model. */
interface Detected {
  readonly outcome: Extract<EngineOutcome, { kind: 'detected' }>;
  readonly size: SizePx;
}

/** Nothing was run for it. */
const noTime = { waitedMs: 0, preprocessMs: 0, inferenceMs: 0, postprocessMs: 0 };

function inferenceNumbers(metrics: Metrics, deck: ModelDeck) {
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
    .follow(() => deck.lanes.reduce((sum, { engine }) => sum + engine.queued, 0));
  const providers = metrics.gauge({
    name: 'sightline_inference_provider',
    help: 'Versions of models that are loaded, by the execution provider that runs them.',
    labels: ['provider'],
  });
  for (const provider of executionProviders) {
    const runtime = `onnxruntime-${provider}`;
    const isOn = ({ engine }: ModelLane): boolean => engine.state === 'running' && engine.runtime === runtime;
    providers.with({ provider }).follow(() => deck.lanes.filter(isOn).length);
  }
  const known = metrics
    .counter({
      name: 'sightline_inference_known_frames_total',
      help: 'Analysed frames whose boxes were known from an equal picture, so that the model was not run.',
    })
    .with({});
  const objects = metrics.counter({
    name: 'sightline_inference_embeddings_total',
    help: 'Objects for the embedding model, by what became of them; left_out: the frame had more than its limit.',
    labels: ['outcome'],
  });
  const described = { made: objects.with({ outcome: 'made' }), leftOut: objects.with({ outcome: 'left_out' }) };
  const shadow = metrics.counter({
    name: 'sightline_inference_shadow_frames_total',
    help: 'Frames for a shadow, by what became of them; left_out: it had no room.',
    labels: ['outcome'],
  });
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
    shadow: (outcome: 'analysed' | 'failed' | 'left_out' | 'lost'): void => {
      shadow.with({ outcome }).add();
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
    described({ embeddings, notDescribed }: ImageDetections): void {
      described.made.add(embeddings.filter((each) => each !== null).length);
      described.leftOut.add(notDescribed);
    },
  };
}
