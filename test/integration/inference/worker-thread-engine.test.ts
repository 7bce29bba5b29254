import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PlanarImage } from '#shared/core/frame';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import {
  createWorkerThreadEngine,
  type WorkerThreadEngineOptions,
} from '../../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
import type { InferenceEngine } from '../../../services/inference/core/ports.ts';
import { createLogKeeper, machineClock } from '../../support/inference-doubles.ts';
import { testModelLibrary } from '../../support/models.ts';
import { writeTinyModel, type TinyBox } from '../../support/tiny-model.ts';

const run = promisify(execFile);

async function tinyEngine(
  options: Partial<WorkerThreadEngineOptions> = {},
  boxes?: readonly TinyBox[],
): Promise<InferenceEngine> {
  const directory = await mkdtemp(join(tmpdir(), 'sightline-engine-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const manifest = await writeTinyModel(directory, boxes === undefined ? {} : { boxes });
  const model = await createModelLibrary({ directories: [directory] }).load(manifest);
  const engine = createWorkerThreadEngine({
    model,
    clock: machineClock,
    logger: createLogKeeper(),
    workers: 1,
    ...options,
  });
  onTestFinished(() => engine.close());
  await engine.start();
  return engine;
}

function image(widthPx = 64, heightPx = 36): PlanarImage {
  return { format: 'gbrp', widthPx, heightPx, data: new Uint8Array(widthPx * heightPx * 3) };
}

const forever = { deadlineMs: null };

test('gives the boxes of the model and the buffer back for the next frame', async () => {
  const returned: Uint8Array[] = [];
  const engine = await tinyEngine({ recycle: (data) => returned.push(data) });
  const outcome = await engine.detect(image(), forever);
  expect(outcome).toMatchObject({ kind: 'detected' });
  if (outcome.kind !== 'detected') return;
  const [x1, y1, x2, y2, score, classIndex] = outcome.boxes;
  expect([x1, y1, x2, y2, classIndex]).toEqual([24, 8, 40, 24, 0]);
  expect(score).toBeCloseTo(0.9, 5);
  expect(returned.map((data) => data.byteLength)).toEqual([64 * 36 * 3]);
});

test('decodes, measures and scales a JPEG where the model runs, and leaves it to the caller', async () => {
  const returned: Uint8Array[] = [];
  const engine = await tinyEngine({ recycle: (data) => returned.push(data) });
  const grey = { create: { width: 80, height: 45, channels: 3, background: { r: 60, g: 60, b: 60 } } } as const;
  const shared = Buffer.concat([Buffer.alloc(9), await sharp(grey).jpeg().toBuffer()]);
  const jpeg = { format: 'jpeg', widthPx: 80, heightPx: 45, data: shared.subarray(9) } as const;
  const fitTo = { widthPx: 64, heightPx: 36 };
  const outcome = await engine.detect(jpeg, { ...forever, fitTo, wantsBrightness: true });
  expect(outcome).toMatchObject({ kind: 'detected', brightness: expect.closeTo(60, 0) as number });
  expect(jpeg.data[0]).toBe(0xff);
  expect(returned).toEqual([]);
  const broken = { ...jpeg, data: jpeg.data.subarray(0, 60) };
  await expect(engine.detect(broken, forever)).rejects.toMatchObject({ code: 'SIGHTLINE_FRAME_UNDECODABLE' });
});

test('with all its workers started one after another it works as ever', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sightline-engine-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const model = await createModelLibrary({ directories: [directory] }).load(await writeTinyModel(directory));
  const engine = createWorkerThreadEngine({ model, clock: machineClock, logger: createLogKeeper(), workers: 2 });
  onTestFinished(() => engine.close());
  await engine.start({ besideOthers: true });
  const outcomes = await Promise.all([1, 2, 3].map(() => engine.detect(image(), forever)));
  expect(outcomes.map(({ kind }) => kind)).toEqual(['detected', 'detected', 'detected']);
});

test('a provider that is not usable here is told once, and the model runs on the processor', async () => {
  const logger = createLogKeeper();
  // Each is of one operating system only.
  const provider = process.platform === 'darwin' ? 'dml' : 'coreml';
  const engine = await tinyEngine({ provider, logger, workers: 2 });
  expect(engine.runtime).toBe('onnxruntime-cpu');
  expect(await engine.detect(image(), forever)).toMatchObject({ kind: 'detected' });
  const warnings = logger.lines.filter(({ level }) => level === 'warn');
  expect(warnings).toMatchObject([{ fields: { wanted: provider } }]);
});

test('runs images in the order they were handed in, and says what is waiting', async () => {
  const engine = await tinyEngine();
  const done: number[] = [];
  const all = Array.from({ length: 6 }, async (_, index) => {
    await engine.detect(image(), forever);
    done.push(index);
  });
  expect(engine.queued).toBe(5);
  await Promise.all(all);
  expect(done).toEqual([0, 1, 2, 3, 4, 5]);
  expect(engine.queued).toBe(0);
});

test('fails an image that the model cannot take, and runs the next', async () => {
  const engine = await tinyEngine();
  const tooWide = engine.detect(image(65, 10), forever);
  const tooShort = engine.detect({ ...image(), data: new Uint8Array(7) }, forever);
  const shared = engine.detect({ ...image(), data: new Uint8Array(100_000).subarray(0, 64 * 36 * 3) }, forever);
  const good = engine.detect(image(), forever);
  for (const outcome of await Promise.allSettled([tooWide, tooShort, shared])) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'SIGHTLINE_FRAME_SIZE_INVALID' } });
  }
  await expect(good).resolves.toMatchObject({ kind: 'detected' });
});

test('fails an image whose buffer was handed in twice', async () => {
  const engine = await tinyEngine();
  const twice = image();
  const [first, second] = await Promise.allSettled([engine.detect(twice, forever), engine.detect(twice, forever)]);
  expect(first.status).toBe('fulfilled');
  expect(second).toMatchObject({ status: 'rejected', reason: { code: 'SIGHTLINE_FRAME_SIZE_INVALID' } });
  await expect(engine.detect(image(), forever)).resolves.toMatchObject({ kind: 'detected' });
});

test('gives back an image whose deadline has passed without running it', async () => {
  const returned: Uint8Array[] = [];
  const engine = await tinyEngine({ recycle: (data) => returned.push(data) });
  await expect(engine.detect(image(), { deadlineMs: performance.now() - 1 })).resolves.toEqual({ kind: 'expired' });
  expect(returned).toHaveLength(1);
});

test('refuses images beyond the capacity of its queue', async () => {
  const engine = await tinyEngine({ queueCapacity: 2 });
  const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => engine.detect(image(), forever)));
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected']);
  expect(outcomes[4]).toMatchObject({ reason: { code: 'SIGHTLINE_INFERENCE_OVERLOADED', retryable: true } });
});

test('lets callers wait until there is room, first come first served, and give up', async () => {
  const engine = await tinyEngine();
  const work = [engine.detect(image(), forever), engine.detect(image(), forever)];
  const woken: string[] = [];
  const abort = new AbortController();
  const first = engine.whenFree().then(() => woken.push('first'));
  const givenUp = engine.whenFree(abort.signal);
  const last = engine.whenFree().then(() => woken.push('last'));
  abort.abort(new Error('enough'));
  await expect(givenUp).rejects.toThrow('enough');
  await Promise.all([...work, first, last]);
  expect(woken).toEqual(['first', 'last']);
});

test('does what was taken before it ends, and takes nothing new while it drains', async () => {
  const engine = await tinyEngine();
  const taken = [engine.detect(image(), forever), engine.detect(image(), forever)];
  const drained = engine.drain();
  await expect(engine.detect(image(), forever)).rejects.toMatchObject({ code: 'SIGHTLINE_INFERENCE_STOPPED' });
  await drained;
  await expect(Promise.all(taken)).resolves.toHaveLength(2);
});

test('two engines in one process answer by their own models', async () => {
  const box = { confidence: 0.8, x: 0.5, y: 0.5, width: 0.5, height: 0.5 };
  const one = await tinyEngine({}, [{ ...box, classId: 0 }]);
  const other = await tinyEngine({}, [{ ...box, classId: 1 }]);
  const [a, b] = await Promise.all([one.detect(image(), forever), other.detect(image(), forever)]);
  expect([a, b].map((outcome) => (outcome.kind === 'detected' ? outcome.boxes[5] : undefined))).toEqual([0, 1]);
});

const library = testModelLibrary();

describe.skipIf(library === undefined)('with a model that takes its time', () => {
  async function slowEngine(options: Partial<WorkerThreadEngineOptions>): Promise<InferenceEngine> {
    const model = await library?.load('picodet_s_416');
    if (model === undefined) throw new Error('no model');
    const engine = createWorkerThreadEngine({
      model,
      clock: machineClock,
      logger: createLogKeeper(),
      workers: 1,
      ...options,
    });
    await engine.start();
    return engine;
  }

  test('reports a run that takes too long, and goes on with the worker when it comes back', async () => {
    // Time as the engine sees it runs a thousand times faster, so that a run of 20 ms looks like one that hangs.
    const clock = { ...machineClock, monotonicMs: () => performance.now() * 1000 };
    const engine = await slowEngine({ clock, runTimeoutMs: 1000 });
    onTestFinished(() => engine.close());
    // Enough of them that the watchdog, which looks every 100 ms, finds the worker in a run.
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, () => engine.detect(image(416, 416), forever)),
    );
    const stalled = outcomes.filter((each) => each.status === 'rejected');
    expect(stalled.length).toBeGreaterThan(0);
    for (const each of stalled)
      expect(each.reason).toMatchObject({ code: 'SIGHTLINE_INFERENCE_STALLED', retryable: true });
    await expect.poll(() => engine.state, { timeout: 10_000 }).toBe('running');
    // The watchdog may find this run too, by chance: then the next one.
    const answer = (): Promise<string> =>
      engine.detect(image(416, 416), forever).then(
        ({ kind }) => kind,
        () => 'stalled again',
      );
    await expect.poll(answer, { timeout: 20_000 }).toBe('detected');
    await expect.poll(() => engine.state, { timeout: 10_000 }).toBe('running');
  });

  test('closing in the middle of runs ends the process cleanly, not by abort', async () => {
    const root = join(import.meta.dirname, '../../..');
    const directory = await mkdtemp(join(root, 'test/integration/inference/.run-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const script = join(directory, 'close-while-busy.ts');
    await writeFile(
      script,
      `import { testModelLibrary } from '../../../support/models.ts';
import { createLogKeeper, machineClock } from '../../../support/inference-doubles.ts';
import { createWorkerThreadEngine } from '../../../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
const model = await testModelLibrary()!.load('picodet_s_416');
for (let round = 0; round < 3; round++) {
  const engine = createWorkerThreadEngine({ model, clock: machineClock, logger: createLogKeeper(), workers: 2 });
  await engine.start();
  const image = () => ({ format: 'gbrp' as const, widthPx: 416, heightPx: 416, data: new Uint8Array(416 * 416 * 3) });
  const work = Promise.allSettled(Array.from({ length: 8 }, () => engine.detect(image(), { deadlineMs: null })));
  await Promise.all([engine.close(), engine.close()]);
  console.log((await work).map((each) => each.status === 'fulfilled' ? 'done' : each.reason.code).join());
}
`,
    );
    const { stdout } = await run(process.execPath, [script], { timeout: 50_000 });
    const stopped = new Array<string>(6).fill('SIGHTLINE_INFERENCE_STOPPED');
    expect(stdout.trim().split('\n')).toEqual(new Array<string>(3).fill(['done', 'done', ...stopped].join()));
  });
});
