import { randomUUID } from 'node:crypto';
import { AppError } from '#shared/core/errors';
import type { InputGeometry } from '#shared/core/inference-geometry';
import { boxesAlone } from '../../services/inference/core/detections.ts';
import type { EngineOutcome, EngineState, InferenceEngine } from '../../services/inference/core/ports.ts';

/** That of the bundled model: pictures of real ingests are made for it. One of another size would be scaled by the worker, at 50 ms of CPU. */
export const simulatedInput: InputGeometry = {
  widthPx: 352,
  heightPx: 288,
  resize: { mode: 'letterbox', anchor: 'top_left', padValue: 114, shape: 'fixed' },
};

const manifest: InferenceEngine['manifest'] = {
  name: 'simulated',
  version: '1',
  file: 'none.onnx',
  sha256: '0'.repeat(64),
  family: 'yolox',
  input: {
    name: 'image',
    ...simulatedInput,
    layout: 'NCHW',
    dtype: 'float32',
    channelOrder: 'BGR',
    mean: [0, 0, 0],
    std: [1, 1, 1],
  },
  outputs: { strides: [8, 16, 32] },
  labels: ['object'],
  thresholds: { score: 0.5, perClass: {}, nmsIou: 0.5, maxObjects: 1 },
  precision: 'FP32',
  task: 'detection',
  licence: 'none',
  source: 'none',
};

/** An accelerator that takes the same time for each image and no CPU: one image after another, as a device does. */
export function createSimulatedEngine(serviceMs: number): InferenceEngine {
  let state: EngineState = 'created';
  let queued = 0;
  /** When the device is free again. Counted in due times, so that late timers do not add up. */
  let freeAtMs = 0;
  let last: Promise<unknown> = Promise.resolve();
  const untilMs = (dueMs: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
  return {
    manifest,
    digest: '0'.repeat(64),
    runtime: 'simulated',
    embeddingModel: null,
    get state() {
      return state;
    },
    workers: 1,
    get queued() {
      return queued;
    },
    start() {
      state = 'running';
      return Promise.resolve();
    },
    detect(_, { deadlineMs }) {
      if (state !== 'running') return Promise.reject(new AppError('SIGHTLINE_INTERNAL', 'the engine is not running'));
      const calledMs = performance.now();
      queued += 1;
      const run = last.then(async (): Promise<EngineOutcome> => {
        queued -= 1;
        if (deadlineMs !== null && performance.now() > deadlineMs) return { kind: 'expired' };
        const startMs = Math.max(freeAtMs, calledMs);
        freeAtMs = startMs + serviceMs;
        await untilMs(freeAtMs);
        return {
          kind: 'detected',
          waitedMs: startMs - calledMs,
          ...boxesAlone,
          boxes: new Float32Array(),
          brightness: null,
          preprocessMs: 0,
          inferenceMs: serviceMs,
          postprocessMs: 0,
        };
      });
      last = run;
      return run;
    },
    whenFree: () => last.then(() => undefined),
    async drain() {
      state = 'stopping';
      await last;
    },
    async close() {
      await last;
      state = 'stopped';
    },
  };
}

export const loadProducer = { service: 'loadtest', instance_id: randomUUID(), version: '0' };
