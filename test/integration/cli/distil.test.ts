import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import { tryModel } from '../../../services/inference/adapters/onnxruntime/model-trial.ts';
import type { VerifiedModel } from '../../../services/inference/core/ports.ts';
import { distilModel, type DistilOutcome } from '../../../cli/models/distil/distil-model.ts';
import { train } from '../../../cli/models/distil/training-tool.ts';
import { extractFrames, frameName } from '../../../cli/models/distil/clip-frames.ts';
import { demoSceneClip, shortSceneClip } from '../../support/demo-scene-clip.ts';
import { temporaryDirectory } from '../../support/run-sightline.ts';
import { trainingPython } from '../../support/training-python.ts';
import { writeTinyModel, type TinyBox } from '../../support/tiny-model.ts';

const leftPerson: TinyBox = { classId: 0, confidence: 0.9, x: 0.3, y: 0.25, width: 0.25, height: 0.25 };
const rightPerson: TinyBox = { ...leftPerson, x: 0.7 };

async function tinyModel(directory: string, name: string, box: TinyBox, burden = 0): Promise<VerifiedModel> {
  const manifest = await writeTinyModel(directory, { name, boxes: [box], burden });
  return createModelLibrary({ directories: [directory] }).load(manifest);
}

async function blankPicture(directory: string): Promise<string> {
  const file = path.join(directory, 'blank.jpg');
  await sharp({ create: { width: 64, height: 64, channels: 3, background: '#808080' } })
    .jpeg()
    .toFile(file);
  return file;
}

/** Stands in for Python: what it "trained" is a copy of a file. */
async function trainerThatMakes(directory: string, model: string): Promise<string> {
  const script = path.join(directory, 'trainer.sh');
  const made = '{"kind":"made","steps":7,"weights":42}';
  await writeFile(
    script,
    `#!/bin/sh\ncp '${path.join(directory, `${model}.onnx`)}' "$(dirname "$2")/trained.onnx" && echo '${made}'\n`,
  );
  await chmod(script, 0o755);
  return script;
}

async function distilTo(directory: string, result: string, clips: string, burden = 0): Promise<DistilOutcome> {
  return distilModel({
    teacher: await tinyModel(directory, 'teacher', leftPerson, burden),
    student: await tinyModel(directory, 'student', rightPerson),
    ...{ clips, name: 'mine', minutes: 1, fps: 3, maxFrames: 500, threads: 1, benchRounds: 1 },
    ...{ pruneRatio: null, mostLost: 0.01, also: null, mostForgotten: 0.05, keep: 0.5 },
    python: { stateDir: directory, python: await trainerThatMakes(directory, result) },
    storeDirectory: path.join(directory, 'kept'),
    workDirectory: path.join(directory, 'work'),
    onStage: () => undefined,
    onProgress: () => undefined,
  });
}

test('keeps a model that sees on the held-out frames what the teacher sees, under a name that runs', async () => {
  const directory = await temporaryDirectory();
  await tinyModel(directory, 'good', leftPerson);
  const outcome = await distilTo(directory, 'good', await demoSceneClip(), 1);
  expect(outcome.verdict).toEqual({ isBetter: true });
  expect(outcome.rows.map(({ role, ap50, agreement }) => [role, ap50 > 0.99, agreement])).toEqual([
    ['teacher', true, 1],
    ['before', false, 0],
    ['after', true, 1],
  ]);
  // A share of the 72 frames lies between the two parts and is in neither.
  expect(outcome.frames).toMatchObject({ learned: 46, heldOut: 21 });
  const kept = await createModelLibrary({ directories: [path.join(directory, 'kept')] }).load('mine');
  expect(kept.manifest).toMatchObject({ name: 'mine', family: 'yolox', labels: ['person', 'car'] });
  expect(kept.manifest.source).toContain('taught by teacher');
});

test('keeps nothing where the model learned nothing, and says what it came to', async () => {
  const directory = await temporaryDirectory();
  const outcome = await distilTo(directory, 'student', await demoSceneClip());
  expect(outcome.verdict).toMatchObject({ isBetter: false });
  expect(outcome.stored).toBeNull();
  await expect(readFile(path.join(directory, 'kept'))).rejects.toThrow(/ENOENT/);
});

test('holds the student to what it says itself of a class that the teacher does not know, and judges on pictures of other places too', async () => {
  const directory = await temporaryDirectory();
  const rowOf = (y: number, classId: number): TinyBox[] =>
    [1, 2, 3, 4, 5, 6, 7].map((at) => ({ classId, confidence: 0.9, x: at / 8, y, width: 0.1, height: 0.1 }));
  const [people, cars] = [rowOf(0.2, 0), rowOf(0.5, 1)];
  const library = createModelLibrary({ directories: [directory] });
  const labels = ['person'];
  const teacher = await library.load(await writeTinyModel(directory, { name: 'teacher', boxes: people, labels }));
  const student = await library.load(await writeTinyModel(directory, { name: 'student', boxes: cars }));
  await writeTinyModel(directory, { name: 'both', boxes: [...people, ...cars] });
  const also = path.join(directory, 'also');
  await mkdir(also);
  const blank = await blankPicture(directory);
  for (let index = 0; index < 10; index++) await copyFile(blank, path.join(also, `${index}.jpg`));
  const outcome = await distilModel({
    ...{ teacher, student, also, mostForgotten: 0.05, clips: await demoSceneClip(), name: 'mine', minutes: 1, fps: 1 },
    ...{ maxFrames: 500, threads: 1, benchRounds: 1, pruneRatio: null, mostLost: 0.01, keep: 0 },
    python: { stateDir: directory, python: await trainerThatMakes(directory, 'both') },
    storeDirectory: path.join(directory, 'kept'),
    workDirectory: path.join(directory, 'work'),
    onStage: () => undefined,
    onProgress: () => undefined,
  });
  expect([...outcome.objects.keys()].toSorted()).toEqual(['car', 'person']);
  expect(outcome.also).toEqual({ learned: 7, heldOut: 3 });
  expect(outcome.rows.map(({ role, elsewhereAp50 }) => [role, elsewhereAp50])).toEqual([
    ['teacher', expect.closeTo(1, 5)],
    ['before', expect.closeTo(0.5, 5)],
    ['after', expect.closeTo(1, 5)],
  ]);
});

test('does not begin to train where the held-out part shows too little to judge by', async () => {
  const directory = await temporaryDirectory();
  await expect(distilTo(directory, 'student', await shortSceneClip())).rejects.toMatchObject({
    code: 'SIGHTLINE_CLIPS_UNUSABLE',
  });
});

test('refuses a student whose network it does not know before it reads a clip', async () => {
  const directory = await temporaryDirectory();
  const model = await tinyModel(directory, 'teacher', leftPerson);
  const { input } = model.manifest;
  const student = { ...model, manifest: { ...model.manifest, input: { ...input, layout: 'NHWC' as const } } };
  await expect(
    distilModel({
      ...{ teacher: model, student, clips: '/nowhere', name: 'mine', minutes: 1, fps: 5, maxFrames: 500, threads: 1 },
      ...{
        pruneRatio: null,
        mostLost: 0.01,
        also: null,
        mostForgotten: 0.05,
        keep: 0,
        python: { stateDir: directory },
        storeDirectory: directory,
        workDirectory: directory,
      },
      onStage: () => undefined,
      onProgress: () => undefined,
    }),
  ).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_UNTRAINABLE' });
});

const python = trainingPython();

test.skipIf(python === undefined)(
  'trains the bundled network in PyTorch and gives back a model that runs',
  async () => {
    const directory = await temporaryDirectory();
    const student = await createModelLibrary({
      directories: [path.resolve(import.meta.dirname, '../../../models')],
    }).load('sightline-nano');
    const frames = await extractFrames(await shortSceneClip(), path.join(directory, 'frames'), 1, 4);
    const trained = await train({
      student,
      input: { widthPx: 96, heightPx: 64 },
      frames: [1, 2, 3, 4].map((number) => ({
        file: path.join(frames.directory, frameName(number)),
        boxes: [[100, 80, 60, 120, 0.8, 0]],
      })),
      also: [],
      keep: 0.5,
      ...{ minutes: 5, maxSteps: 2, threads: 1, pruneRatio: 0.3, workDirectory: directory },
      python: { stateDir: directory, python },
      onProgress: () => undefined,
    });
    expect(trained.steps).toBe(2);
    expect(trained.bytes.length).toBeLessThan(student.bytes.length);
    const input = { ...student.manifest.input, widthPx: 96, heightPx: 64 };
    await tryModel({ manifest: { ...student.manifest, input }, bytes: trained.bytes }, null);
  },
);
