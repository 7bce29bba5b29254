import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import { addModel } from '../../../cli/models/add-model.ts';
import { expectFailure } from '../../support/e2e-run.ts';
import { startSightline, temporaryDirectory } from '../../support/run-sightline.ts';
import { trainingPython } from '../../support/training-python.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

const python = trainingPython();

test.skipIf(python === undefined)(
  'folds suppression into a graph, compares the boxes, and what comes out runs',
  async () => {
    const directory = await temporaryDirectory();
    await writeTinyModel(directory);
    const [source, target] = [path.join(directory, 'tiny.onnx'), path.join(directory, 'folded.onnx')];
    const environment = { SIGHTLINE_PYTHON: python ?? '' };
    const run = await startSightline(['models', 'convert', source, target, '--nms', 'yolox'], environment).finished;
    expect(run.stdout).toContain('1 boxes by hand, 1 from the graph; 0 that only one of both has');
    expect(run.code).toBe(0);

    const added = await addModel({ file: target, directory: path.join(directory, 'kept'), labels: ['person', 'car'] });
    expect(added.manifest.family).toBe('yolo_nms');
    await createModelLibrary({ directories: [path.join(directory, 'kept')] }).load('folded');
  },
);

test.skipIf(python === undefined)('writes nothing where the outputs differ by more than is allowed', async () => {
  const directory = await temporaryDirectory();
  await writeTinyModel(directory);
  const [source, target] = [path.join(directory, 'tiny.onnx'), path.join(directory, 'half.onnx')];
  const args = ['models', 'convert', source, target, '--fp16', '--tolerance', '0', '--json'];
  const run = await startSightline(args, { SIGHTLINE_PYTHON: python ?? '' }).finished;
  expect(JSON.parse(run.stdout)).toMatchObject({
    written: null,
    refused: expect.stringContaining('is above 0') as unknown,
    code: 'SIGHTLINE_CONVERSION_REFUSED',
  });
  expect(run.code).toBe(1);
});

test('one that no converter reads and writes at once is told before anything is installed', async () => {
  const run = await startSightline(['models', 'convert', 'network.pt', 'network.tflite']).finished;
  expectFailure(run, 'SIGHTLINE_USAGE', 2);
  expect(run.stderr).toContain('in two steps');
});

test('a file that is damaged is told as such before any converter reads it', async () => {
  const directory = await temporaryDirectory();
  const source = path.join(directory, 'torn.onnx');
  await writeFile(source, 'no model');
  const run = await startSightline(['models', 'convert', source, path.join(directory, 'out.tflite')]).finished;
  expectFailure(run, 'SIGHTLINE_MODEL_CORRUPT', 3);
});
