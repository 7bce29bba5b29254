import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { PixelImage } from '#shared/core/frame';
import { addModel } from '../../../cli/models/add-model.ts';
import { loadEmbedding } from '../../../cli/models/chosen-embedding.ts';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import { createWorkerThreadEngine } from '../../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
import type { ExecutionProvider, InferenceEngine } from '../../../services/inference/core/ports.ts';
import { createLogKeeper, machineClock } from '../../support/inference-doubles.ts';
import { encodeMeanColourModel, writeTinyModel, type TinyBox } from '../../support/tiny-model.ts';

const person = { classId: 0, confidence: 0.9, x: 0.25, y: 0.25, width: 0.375, height: 0.375 };
const car = { ...person, classId: 1, x: 0.75 };
const otherPerson = { ...person, confidence: 0.8, x: 0.75 };

/** A detector that sees these boxes, and an embedding of persons that is the mean colour (RGB, 0..1). */
async function engineFor(
  boxes: readonly TinyBox[],
  outputs: Readonly<Record<string, unknown>>,
  provider: ExecutionProvider = 'cpu',
): Promise<InferenceEngine> {
  const directory = await mkdtemp(join(tmpdir(), 'sightline-embedding-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const detector = await writeTinyModel(directory, { boxes });
  const file = join(directory, 'person-colour-embedding.onnx');
  await writeFile(file, encodeMeanColourModel({ widthPx: 16, heightPx: 32 }));
  const { manifestPath } = await addModel({ file, directory: join(directory, 'models'), name: 'colour', version: '1' });
  const library = createModelLibrary({ directories: [directory] });
  const loaded = await loadEmbedding(library, manifestPath, createLogKeeper());
  if (loaded === undefined) throw new Error('no embedding model');
  const input = { ...loaded.manifest.input, mean: [0, 0, 0], std: [255, 255, 255] } as const;
  const engine = createWorkerThreadEngine({
    model: await library.load(detector),
    embedding: {
      ...loaded,
      manifest: { ...loaded.manifest, input, outputs: { ...loaded.manifest.outputs, ...outputs } },
    },
    clock: machineClock,
    logger: createLogKeeper(),
    workers: 1,
    provider,
  });
  onTestFinished(() => engine.close());
  await engine.start();
  return engine;
}

/** Left half red, right half blue. */
function redAndBlue(format: 'gbrp' | 'rgb24' | 'yuv420p'): PixelImage {
  const size = { widthPx: 64, heightPx: 36 };
  const pixels = size.widthPx * size.heightPx;
  const isLeft = (index: number, width: number): boolean => index % width < width / 2;
  if (format === 'yuv420p') {
    // Full range, BT.601: red is 76 85 255, blue 29 255 107.
    const half = 32 * 18;
    const data = new Uint8Array(pixels + 2 * half);
    for (let at = 0; at < pixels; at++) data[at] = isLeft(at, 64) ? 76 : 29;
    for (let at = 0; at < half; at++) data[pixels + at] = isLeft(at, 32) ? 85 : 255;
    for (let at = 0; at < half; at++) data[pixels + half + at] = isLeft(at, 32) ? 255 : 107;
    return { format, ...size, isFullRange: true, data };
  }
  const data = new Uint8Array(3 * pixels);
  for (let at = 0; at < pixels; at++) {
    if (format === 'rgb24') data[3 * at + (isLeft(at, 64) ? 0 : 2)] = 255;
    else data[(isLeft(at, 64) ? 2 : 1) * pixels + at] = 255;
  }
  return { format, ...size, data };
}

test.each(['gbrp', 'rgb24', 'yuv420p'] as const)(
  'describes the objects that it is for by what they look like, and no others (%s)',
  async (format) => {
    const engine = await engineFor([person, car], {});
    expect(engine.embeddingModel).toMatch(/^colour@1#[0-9a-f]{64}$/);
    const outcome = await engine.detect(redAndBlue(format), { deadlineMs: null });
    if (outcome.kind !== 'detected') throw new Error(outcome.kind);
    const [ofPerson, ofCar] = outcome.embeddings;
    expect(ofCar).toBeNull();
    expect([...(ofPerson ?? [])].map((value) => Math.round(value * 50) / 50 + 0)).toEqual([1, 0, 0]);
    expect(outcome.notDescribed).toBe(0);
  },
);

test('describes the surest where there are more than its limit, and counts the others', async () => {
  const engine = await engineFor([person, otherPerson], { maxObjects: 1 });
  const outcome = await engine.detect(redAndBlue('gbrp'), { deadlineMs: null });
  expect(outcome).toMatchObject({ notDescribed: 1, embeddings: [expect.any(Float32Array), null] });
});

test('on a provider that is not usable here both models run on the processor', async () => {
  const engine = await engineFor([person], {}, 'dml');
  expect(engine.runtime).toBe('onnxruntime-cpu');
  const outcome = await engine.detect(redAndBlue('gbrp'), { deadlineMs: null });
  expect(outcome).toMatchObject({ embeddings: [expect.any(Float32Array)] });
});

test('persons of one colour are alike, of two colours not', async () => {
  const engine = await engineFor([person, otherPerson], {});
  const picture = redAndBlue('gbrp');
  const plain: PixelImage = { ...picture, data: picture.data.map((_, at) => (at >= 2 * 64 * 36 ? 255 : 0)) };
  const likeness = async (image: PixelImage): Promise<number> => {
    const outcome = await engine.detect(image, { deadlineMs: null });
    if (outcome.kind !== 'detected') throw new Error(outcome.kind);
    const [one, other] = outcome.embeddings;
    return [...(one ?? [])].reduce((sum, value, at) => sum + value * (other?.[at] ?? 0), 0);
  };
  expect(await likeness(plain)).toBeCloseTo(1, 5);
  expect(await likeness(redAndBlue('gbrp'))).toBeLessThan(0.1);
});

test('a detector that finds nothing of what it is for is refused with the reason', async () => {
  await expect(engineFor([person], { classes: ['ship'] })).rejects.toMatchObject({
    code: 'SIGHTLINE_CONFIG_INVALID',
    message: expect.stringContaining('describes ship') as string,
  });
});

test('a detector in its place is refused, and so is the reverse', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sightline-embedding-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const library = createModelLibrary({ directories: [directory] });
  const detector = await writeTinyModel(directory);
  await expect(loadEmbedding(library, detector, createLogKeeper())).rejects.toMatchObject({
    code: 'SIGHTLINE_CONFIG_INVALID',
  });
  const file = join(directory, 'face-embedding.onnx');
  await writeFile(file, encodeMeanColourModel({ widthPx: 16, heightPx: 32 }));
  const { manifestPath } = await addModel({ file, directory: join(directory, 'models') });
  const engine = createWorkerThreadEngine({
    ...{ model: await library.load(manifestPath), clock: machineClock, logger: createLogKeeper(), workers: 1 },
  });
  await expect(engine.start()).rejects.toMatchObject({
    action: expect.stringContaining('--embedding-model') as string,
  });
});
