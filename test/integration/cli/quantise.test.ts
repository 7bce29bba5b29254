import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import type { VerifiedModel } from '../../../services/inference/core/ports.ts';
import { quantiseModel, type QuantiseOptions } from '../../../cli/models/quantise/quantise-model.ts';
import { expectFailure } from '../../support/e2e-run.ts';
import { runSightline, temporaryDirectory } from '../../support/run-sightline.ts';
import { writeTinyModel, type TinyBox } from '../../support/tiny-model.ts';
import { trainingPython } from '../../support/training-python.ts';

const left: TinyBox = { classId: 0, confidence: 0.9, x: 0.3, y: 0.25, width: 0.25, height: 0.25 };
const right: TinyBox = { ...left, x: 0.7 };

async function tinyModel(directory: string, name: string, box: TinyBox): Promise<VerifiedModel> {
  const manifest = await writeTinyModel(directory, { name, boxes: [box] });
  return createModelLibrary({ directories: [directory] }).load(manifest);
}

async function picturesIn(directory: string): Promise<string> {
  const folder = path.join(directory, 'pictures');
  await mkdir(folder);
  for (const shade of [40, 120, 200]) {
    const background = { r: shade, g: shade, b: shade };
    await sharp({ create: { width: 64, height: 64, channels: 3, background } })
      .jpeg()
      .toFile(path.join(folder, `${shade}.jpg`));
  }
  return folder;
}

/** Stands in for Python: with all in int8 it gives one model, with some in float another. */
async function makerOf(directory: string, whole: string, partly: string): Promise<string> {
  const script = path.join(directory, 'maker.sh');
  const made = (index: number): string =>
    `echo '{"kind":"made","file":"'$out'/form-${index}.onnx","in_float":${index},"convolutions":9}'`;
  await writeFile(
    script,
    [
      '#!/bin/sh',
      'out=$(dirname "$2")',
      `if grep -q '"float_shares":\\[0\\]' "$2"; then cp '${path.join(directory, `${whole}.onnx`)}' $out/form-0.onnx; ${made(0)}; exit; fi`,
      ...[0, 1, 2, 3, 4].map(
        (index) =>
          `cp '${path.join(directory, `${partly}.onnx`)}' $out/form-${index}.onnx; ${made(index).replace(`"in_float":${index}`, `"in_float":${index + 1}`)}`,
      ),
    ].join('\n'),
  );
  await chmod(script, 0o755);
  return script;
}

async function optionsFor(directory: string, model: VerifiedModel, python: string): Promise<QuantiseOptions> {
  const pictures = await picturesIn(directory);
  const workDirectory = path.join(directory, 'work');
  await mkdir(workDirectory);
  return {
    ...{ model, name: 'small', calibration: pictures, mostCalibration: 2, images: pictures, annotations: null },
    ...{ gate: 0.01, benchRounds: 1, python: { stateDir: directory, python }, workDirectory },
    ...{ onStage: () => undefined, onProgress: () => undefined },
  };
}

test('takes the form with the fewest convolutions in float that sees what the float model saw', async () => {
  const directory = await temporaryDirectory();
  const model = await tinyModel(directory, 'float', left);
  await Promise.all([tinyModel(directory, 'blind', right), tinyModel(directory, 'good', left)]);
  const outcome = await quantiseModel(await optionsFor(directory, model, await makerOf(directory, 'blind', 'good')));
  expect(outcome).toMatchObject({ convolutions: 9, inFloat: 1 });
  expect(outcome.tried).toEqual([
    { inFloat: 0, ap50: 0 },
    { inFloat: 1, ap50: expect.closeTo(1, 5) as number },
  ]);
  expect(outcome.made.manifest).toMatchObject({ name: 'small', precision: 'INT8', family: 'yolox' });
});

test('refuses an input that it cannot calibrate before it reads a picture', async () => {
  const directory = await temporaryDirectory();
  const model = await tinyModel(directory, 'float', left);
  const manifest = { ...model.manifest, input: { ...model.manifest.input, layout: 'NHWC' as const } };
  const options = { ...(await optionsFor(directory, { ...model, manifest }, '/none')), calibration: '/nowhere' };
  await expect(quantiseModel(options)).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_UNQUANTISABLE' });
});

const python = trainingPython();

test.skipIf(python === undefined)(
  'says of a model without convolutions that there is nothing to make int8',
  async () => {
    const directory = await temporaryDirectory();
    const manifest = await writeTinyModel(directory);
    const pictures = await picturesIn(directory);
    const args = ['models', 'quantise', '--model', manifest, '--calibration', pictures, '--images', pictures];
    const run = await runSightline([...args, '--out', directory], { SIGHTLINE_PYTHON: python ?? '' });
    expectFailure(run, 'SIGHTLINE_MODEL_UNQUANTISABLE', 3);
    expect(run.stderr).toContain('no convolution');
  },
);
