import { expect, onTestFinished, test, vi } from 'vitest';
import type { DetectionFrame } from '#schemas';
import { AppError } from '#shared/core/errors';
import type { SizePx } from '#shared/core/inference-geometry';
import type { FrameImage, SampledFrame } from '#shared/core/frame';
import { createMetricStore } from '#shared/core/metric-store';
import { initialRollout, type ModelRef } from '#shared/core/rollout/rollout-state';
import { renderPrometheusText } from '#shared/core/prometheus-text';
import { boxesAlone } from '../../../services/inference/core/detections.ts';
import type { EngineOutcome, InferenceEngine } from '../../../services/inference/core/ports.ts';
import { createInferenceService } from '../../../services/inference/service.ts';
import { createLogKeeper, machineClock } from '../../support/inference-doubles.ts';
import { yoloxManifest } from '../../support/manifests.ts';
import { makeDetectionFrame } from '../../support/result-records.ts';
import { makeCommand, makeModelRef, rolledTo } from '../../support/rollout-doubles.ts';

interface HeldEngine extends InferenceEngine {
  /** Images that were taken and have no result yet. */
  /** The pictures, with the size that they are scaled to. */
  readonly taken: (SizePx & { readonly image: FrameImage })[];
  /** Finishes what was taken. */
  finish(): void;
  isClosed: boolean;
}

/** An engine that keeps what it is given until it is told to finish. `holds` false: it finishes at once. */
function heldEngine(ref: ModelRef, holds: boolean, sizePx = 32): HeldEngine {
  const waiting: (() => void)[] = [];
  const engine: HeldEngine = {
    manifest: { ...yoloxManifest, ...ref, input: { ...yoloxManifest.input, widthPx: sizePx, heightPx: sizePx } },
    digest: ref.digest,
    runtime: 'scripted',
    embeddingModel: null,
    state: 'running',
    workers: 1,
    queued: 0,
    taken: [],
    isClosed: false,
    start: () => Promise.resolve(),
    async detect(image, { fitTo }): Promise<EngineOutcome> {
      if (engine.isClosed) throw new AppError('SIGHTLINE_INFERENCE_STOPPED', 'a frame came after the end');
      const { widthPx, heightPx } = fitTo ?? image;
      engine.taken.push({ widthPx, heightPx, image });
      if (holds) await new Promise<void>((resolve) => waiting.push(resolve));
      const time = { waitedMs: 0, preprocessMs: 1, inferenceMs: 2, postprocessMs: 1, brightness: null };
      return { kind: 'detected', ...boxesAlone, boxes: Float32Array.from([0, 0, 8, 8, 0.9, 0]), ...time };
    },
    finish() {
      for (const go of waiting.splice(0)) go();
    },
    whenFree: () => Promise.resolve(),
    drain: () => Promise.resolve(),
    close() {
      engine.isClosed = true;
      return Promise.resolve();
    },
  };
  return engine;
}

const [a, b, c] = [makeModelRef('a'), makeModelRef('b'), makeModelRef('c')];
const started = rolledTo(initialRollout, makeCommand('activate', { model: a }));

function frame(frameSeq: number, cameraId = 'door'): SampledFrame {
  const { accounting } = makeDetectionFrame();
  const times = {
    ...{ captureTimeUs: 1, captureTimeSource: 'ARRIVAL' as const, captureTimeErrorMs: 1, ingestTimeUs: 1, ptsUs: 1 },
  };
  return {
    ...{ cameraId, epoch: 1, frameSeq, fate: 'analyse', times, sourceWidthPx: 640, sourceHeightPx: 320 },
    image: { format: 'gbrp', widthPx: 32, heightPx: 16, data: new Uint8Array(32 * 16 * 3).fill(frameSeq) },
    ...{ motion: null, accounting, deadlineMs: null, tags: {} },
  };
}

function serve(options: { readonly holds?: boolean; readonly keepWarmMs?: number; readonly sizeOfB?: number } = {}) {
  const engines = new Map<string, HeldEngine>();
  const open = (ref: ModelRef): HeldEngine => {
    const engine = heldEngine(ref, options.holds ?? false, ref.name === 'b' ? options.sizeOfB : undefined);
    engines.set(ref.name, engine);
    return engine;
  };
  const shadows: DetectionFrame[] = [];
  const metrics = createMetricStore();
  const service = createInferenceService({
    engine: open(a),
    openEngine: (ref) => Promise.resolve(open(ref)),
    onShadow(record) {
      shadows.push(record);
      return Promise.resolve();
    },
    keepWarmMs: options.keepWarmMs ?? 60_000,
    producer: { service: 'inference', instance_id: 'a', version: '1' },
    clock: {
      ...machineClock,
      sleep: (delayMs, signal) =>
        new Promise((resolve, reject) => {
          const timer = setTimeout(resolve, delayMs);
          signal?.addEventListener('abort', () => {
            clearTimeout(timer);
            reject(new Error('aborted'));
          });
        }),
    },
    logger: createLogKeeper(),
    metrics,
  });
  onTestFinished(() => service.close());
  const engine = (name: string): HeldEngine => engines.get(name) ?? expect.fail(`${name} was never opened`);
  return { service, engine, engines, shadows, metricsText: () => renderPrometheusText(metrics.snapshot()) };
}

test('frames that were given out before a change end with their model, the next ones begin with the new one', async () => {
  const { service, engine } = serve({ holds: true });
  const before = [service.analyse(frame(1)), service.analyse(frame(2))];
  await service.stage.prepare(b);
  service.stage.follow(rolledTo(started, makeCommand('activate', { model: b })));
  const after = service.analyse(frame(3));
  engine('a').finish();
  engine('b').finish();
  const records = await Promise.all([...before, after]);
  expect(records.map(({ model, decision }) => `${model.name} ${decision}`)).toEqual([
    'a ANALYSED',
    'a ANALYSED',
    'b ANALYSED',
  ]);
  expect(service.model.name).toBe('b');
});

test('the version before stays for a while, so that going back loads nothing, and then leaves memory', async () => {
  const { service, engine, engines } = serve({ keepWarmMs: 30 });
  await service.stage.prepare(b);
  const changed = rolledTo(started, makeCommand('activate', { model: b }));
  service.stage.follow(changed);
  const first = engine('a');
  service.stage.follow(rolledTo(changed, makeCommand('rollback')));
  expect([engines.get('a') === first, first.isClosed]).toEqual([true, false]);
  expect((await service.analyse(frame(1))).model.name).toBe('a');
  await vi.waitFor(() => expect(engine('b').isClosed).toBe(true));
  await service.stage.prepare(b);
  service.stage.follow(changed);
  await vi.waitFor(() => expect(first.isClosed).toBe(true));
});

test('a version leaves memory only when its last frame is done', async () => {
  const { service, engine } = serve({ holds: true });
  const under = service.analyse(frame(1));
  await service.stage.prepare(b);
  service.stage.follow(rolledTo(started, makeCommand('activate', { model: b })));
  await service.stage.prepare(c);
  // a is no longer the version before, so nothing keeps it but its frame.
  service.stage.follow(rolledTo(started, makeCommand('activate', { model: b }), makeCommand('activate', { model: c })));
  await machineClock.sleep(20);
  expect(engine('a').isClosed).toBe(false);
  engine('a').finish();
  expect((await under).decision).toBe('ANALYSED');
  await vi.waitFor(() => expect(engine('a').isClosed).toBe(true));
});

test('a shadow has a record of its own beside that of the camera, and accounts for nothing', async () => {
  const { service, engine, shadows } = serve();
  await service.stage.prepare(b);
  service.stage.follow(rolledTo(started, makeCommand('shadow', { model: b, cameras: ['door'] })));
  const record = await service.analyse(frame(7));
  await service.analyse(frame(7, 'yard'));
  await vi.waitFor(() => expect(shadows).toHaveLength(1));
  expect(record.model).toMatchObject({ name: 'a', role: 'PRIMARY' });
  expect(record.accounting.frames_received).toBe(1);
  const [shadow] = shadows;
  expect(shadow?.model).toMatchObject({ name: 'b', digest: b.digest, role: 'SHADOW' });
  expect(shadow?.header).toMatchObject({ camera_id: 'door', frame_seq: 7 });
  expect(shadow?.header.message_id).not.toBe(record.header.message_id);
  expect(shadow?.accounting).toMatchObject({ frames_received: 0, frames_analysed: 0, drops_by_reason: {} });
  // Each had the pixels to itself.
  const [ours, theirs] = [engine('a').taken[0]?.image.data, engine('b').taken[0]?.image.data];
  expect(ours).toEqual(theirs);
  expect(ours?.buffer).not.toBe(theirs?.buffer);
});

test('a shadow that has no room is left out and counted, and the camera does not wait for it', async () => {
  const { service, engine, shadows, metricsText } = serve({ holds: true });
  await service.stage.prepare(b);
  service.stage.follow(rolledTo(started, makeCommand('shadow', { model: b, share: 1 })));
  for (let seq = 1; seq <= 5; seq++) {
    const record = service.analyse(frame(seq));
    await vi.waitFor(() => expect(engine('a').taken).toHaveLength(seq));
    engine('a').finish();
    expect((await record).decision).toBe('ANALYSED');
  }
  expect(shadows).toHaveLength(0);
  engine('b').finish();
  await service.drain();
  expect(shadows).toHaveLength(2);
  expect(metricsText()).toContain('sightline_inference_shadow_frames_total{outcome="left_out"} 3');
});

test('a canary has the cameras of its share and no others', async () => {
  const { service, shadows } = serve();
  await service.stage.prepare(b);
  service.stage.follow(rolledTo(started, makeCommand('canary', { model: b, cameras: ['door'] })));
  const records = [await service.analyse(frame(1)), await service.analyse(frame(1, 'yard'))];
  expect(records.map(({ model }) => `${model.name} ${model.role}`)).toEqual(['b PRIMARY', 'a PRIMARY']);
  await vi.waitFor(() => expect(shadows.map(({ model }) => model.name)).toEqual(['a']));
});

test('a version with an input of another size gets pictures of that size, and its boxes are right', async () => {
  const { service, engine } = serve({ sizeOfB: 16 });
  await service.stage.prepare(b);
  service.stage.follow(rolledTo(started, makeCommand('activate', { model: b })));
  const { objects } = await service.analyse(frame(1));
  expect(engine('b').taken[0]).toMatchObject({ widthPx: 16, heightPx: 8 });
  expect(objects[0]?.bbox).toEqual({ x: 0, y: 0, width: 0.5, height: 1 });
});

test('a version that cannot be loaded changes nothing', async () => {
  const refused = new AppError('SIGHTLINE_MODEL_CORRUPT', 'no model');
  const service = createInferenceService({
    engine: heldEngine(a, false),
    openEngine: () => Promise.reject(refused),
    producer: { service: 'inference', instance_id: 'a', version: '1' },
    clock: machineClock,
    logger: createLogKeeper(),
    metrics: createMetricStore(),
  });
  await expect(service.stage.prepare(b)).rejects.toBe(refused);
  expect(() => service.stage.follow(rolledTo(started, makeCommand('activate', { model: b })))).toThrow(
    /before it was loaded/,
  );
  expect((await service.analyse(frame(1))).model.name).toBe('a');
});
