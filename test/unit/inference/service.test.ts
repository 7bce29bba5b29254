import { expect, test } from 'vitest';
import { AppError } from '#shared/core/errors';
import type { FrameFate, FrameImage, SampledFrame } from '#shared/core/frame';
import { messageId } from '#shared/core/message-id';
import { createMetricStore } from '#shared/core/metric-store';
import { boxesAlone, noScore } from '../../../services/inference/core/detections.ts';
import type { ModelManifest } from '../../../services/inference/core/model.ts';
import type { EngineOutcome, InferenceEngine } from '../../../services/inference/core/ports.ts';
import { createInferenceService, type InferenceService } from '../../../services/inference/service.ts';
import { createLogKeeper } from '../../support/inference-doubles.ts';
import { yoloxManifest } from '../../support/manifests.ts';

type Detect = (image: FrameImage, deadlineMs: number | null) => EngineOutcome;

function scriptedEngine(detect: Detect, manifest: ModelManifest = yoloxManifest): InferenceEngine {
  return {
    manifest,
    digest: 'd'.repeat(64),
    runtime: 'scripted',
    embeddingModel: 'likeness@1#e',
    state: 'running',
    workers: 1,
    queued: 0,
    start: () => Promise.resolve(),
    detect: async (image, { deadlineMs }) => Promise.resolve(detect(image, deadlineMs)),
    whenFree: () => Promise.resolve(),
    drain: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

const nowUs = 1_700_000_000_500_000;
const logger = createLogKeeper();
const producer = { service: 'inference', instance_id: 'a', version: '1' };

function service(detect: Detect, keeper = logger, manifest?: ModelManifest): InferenceService {
  return createInferenceService({
    engine: scriptedEngine(detect, manifest),
    producer,
    clock: { nowUs: () => nowUs, monotonicMs: () => 0, sleep: () => Promise.resolve() },
    logger: keeper,
    metrics: createMetricStore(),
  });
}

function frame(fate: FrameFate = 'analyse', change: Partial<SampledFrame> = {}): SampledFrame {
  return {
    cameraId: 'front',
    epoch: 2,
    frameSeq: 9,
    fate,
    times: {
      captureTimeUs: nowUs - 500_000,
      captureTimeSource: 'ARRIVAL',
      captureTimeErrorMs: 50,
      ingestTimeUs: nowUs - 100_000,
      ptsUs: 1,
    },
    sourceWidthPx: 640,
    sourceHeightPx: 320,
    image: fate === 'analyse' ? { format: 'gbrp', widthPx: 32, heightPx: 16, data: new Uint8Array(32 * 16 * 3) } : null,
    motion: null,
    accounting: {
      frames_received: 5,
      frames_analysed: fate === 'analyse' ? 1 : 0,
      frames_filtered: 2,
      frames_dropped_ingest: fate === 'analyse' ? 2 : 3,
      frames_dropped_deadline: 0,
      frames_failed: 0,
      drops_by_reason: { ring_full: 2 },
      decode_errors: 0,
      target_fps: 5,
      effective_fps: 5,
      load_state: 'NORMAL',
    },
    deadlineMs: null,
    tags: { site: 'north' },
    ...change,
  };
}

function detected(...boxes: readonly number[]): EngineOutcome {
  return {
    kind: 'detected',
    ...boxesAlone,
    boxes: Float32Array.from(boxes),
    waitedMs: 3,
    preprocessMs: 1,
    inferenceMs: 10,
    postprocessMs: 2,
    brightness: null,
  };
}

test('makes a record of a frame, with boxes as fractions of the picture', async () => {
  const record = await service(() => detected(8, 4, 24, 12, 0.75, 1)).analyse(frame());
  expect(record).toEqual({
    header: {
      message_id: messageId('front', 2, 9, 'd'.repeat(64)),
      camera_id: 'front',
      epoch: 2,
      frame_seq: 9,
      capture_time: nowUs - 500_000,
      capture_time_source: 'ARRIVAL',
      capture_time_error_ms: 50,
      ingest_time: nowUs - 100_000,
      publish_time: nowUs,
      pts_us: 1,
      producer,
      tags: { site: 'north' },
    },
    frame_width_px: 640,
    frame_height_px: 320,
    decision: 'ANALYSED',
    failure_code: null,
    model: {
      name: 'test',
      version: '1',
      digest: 'd'.repeat(64),
      runtime: 'scripted',
      precision: 'FP32',
      input_width_px: 32,
      input_height_px: 32,
      role: 'PRIMARY',
    },
    objects: [
      {
        ...{ class_id: 1, class_name: 'car', confidence: 0.75, bbox: { x: 0.25, y: 0.25, width: 0.5, height: 0.5 } },
        ...{ keypoints: [], embedding: null, embedding_model: null },
      },
    ],
    motion: null,
    accounting: frame().accounting,
    timing_ms: { queue: 103, preprocess: 1, inference: 10, postprocess: 2, capture_to_result: 500 },
  });
});

test('maps boxes through the region that was cut out', async () => {
  const crop = { x: 0.5, y: 0.25, width: 0.5, height: 0.5 };
  const { objects } = await service(() => detected(0, 0, 16, 16, 0.5, 0)).analyse(frame('analyse', { crop }));
  expect(objects[0]?.bbox).toEqual({ x: 0.5, y: 0.25, width: 0.25, height: 0.5 });
});

test('leaves out a box that lies wholly in the padding', async () => {
  const { objects } = await service(() => detected(0, 20, 10, 30, 0.9, 0, 0, 0, 10, 10, 0.8, 0)).analyse(frame());
  expect(objects).toHaveLength(1);
});

test('counts a frame that came too late as dropped by its deadline, and the sum stays', async () => {
  const record = await service((_, deadlineMs) => {
    expect(deadlineMs).toBe(77);
    return { kind: 'expired' };
  }).analyse(frame('analyse', { deadlineMs: 77 }));
  expect(record).toMatchObject({
    decision: 'EXPIRED',
    timing_ms: null,
    objects: [],
    accounting: { frames_received: 5, frames_analysed: 0, frames_dropped_deadline: 1, frames_failed: 0 },
  });
});

test('makes a failed frame a record with the code of the error, and the sum stays', async () => {
  const record = await service(() => {
    throw new AppError('SIGHTLINE_INFERENCE_RUN_FAILED', 'boom');
  }).analyse(frame());
  expect(record).toMatchObject({
    decision: 'FAILED',
    failure_code: 'SIGHTLINE_INFERENCE_RUN_FAILED',
    timing_ms: null,
    accounting: { frames_received: 5, frames_analysed: 0, frames_dropped_deadline: 0, frames_failed: 1 },
  });
});

test('fails a frame to be analysed that came without its image', async () => {
  const record = await service(() => detected()).analyse(frame('analyse', { image: null }));
  expect(record).toMatchObject({ decision: 'FAILED', failure_code: 'SIGHTLINE_FRAME_SIZE_INVALID' });
});

test.each([
  ['filtered', 'FILTERED_MOTION'],
  ['dropped', 'DROPPED'],
] as const)('makes a closing frame that was %s a record without running the model', async (fate, decision) => {
  const record = await service(() => {
    throw new Error('the model was run');
  }).analyse(frame(fate));
  expect(record).toMatchObject({ decision, objects: [], timing_ms: null, accounting: frame(fate).accounting });
});

test('says a failure that goes on once, and once that it is over', async () => {
  const keeper = createLogKeeper();
  let fails = true;
  const inference = service(() => {
    if (fails) throw new AppError('SIGHTLINE_INFERENCE_RUN_FAILED', 'boom');
    return detected();
  }, keeper);
  for (let count = 0; count < 5; count++) await inference.analyse(frame());
  fails = false;
  await inference.analyse(frame());
  expect(keeper.lines.map(({ level, text }) => `${level} ${text}`)).toEqual([
    'error frame could not be analysed',
    'info inference works again',
  ]);
  expect(keeper.lines[1]?.fields).toEqual({ code: 'SIGHTLINE_INFERENCE_RUN_FAILED', frames: 5 });
});

test('says which size a picture has to be scaled to', () => {
  expect(service(() => detected()).sizeFor(641, 359)).toEqual({ widthPx: 32, heightPx: 17 });
});

test('maps keypoints as boxes, through the region that was cut out and beyond its edge', async () => {
  const pose: ModelManifest = {
    ...yoloxManifest,
    ...{ family: 'yolov8_pose', task: 'pose', outputs: { keypoints: ['nose', 'left_eye'] } },
  };
  const found: EngineOutcome = {
    ...detected(8, 4, 24, 12, 0.75, 0),
    ...{ keypoints: Float32Array.of(16, 8, 0.5, -32, 0, noScore) },
  };
  const crop = { x: 0.5, y: 0.25, width: 0.5, height: 0.5 };
  const [object] = (await service(() => found, logger, pose).analyse(frame('analyse', { crop }))).objects;
  expect(object?.keypoints).toEqual([
    { name: 'nose', x: 0.75, y: 0.5, confidence: 0.5 },
    { name: 'left_eye', x: 0, y: 0.25, confidence: null },
  ]);
});

test('an object has the vector of its box, also where the one before it lay in the padding', async () => {
  const found: EngineOutcome = {
    ...detected(...[0, 20, 8, 30, 0.9, 0], ...[8, 4, 24, 12, 0.75, 0], ...[0, 0, 8, 8, 0.5, 1]),
    ...{ embeddings: [Float32Array.of(1, 0), Float32Array.of(0, 1), null] },
  };
  const { objects } = await service(() => found).analyse(frame());
  expect(objects.map(({ embedding, embedding_model: model }) => [embedding, model])).toEqual([
    [[0, 1], 'likeness@1#e'],
    [null, null],
  ]);
});
