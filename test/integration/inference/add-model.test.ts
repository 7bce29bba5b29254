import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { addModel } from '../../../cli/models/add-model.ts';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import { openDetectorSession } from '../../../services/inference/adapters/onnxruntime/detector-session.ts';
import { keypointNamesOf } from '../../../services/inference/core/keypoint-names.ts';
import { scoreRules } from '../../../services/inference/core/score-rules.ts';
import { testDataPath } from '../../support/test-data.ts';
import { encodeConstantModel, type ConstantOutput } from '../../support/tiny-model.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sightline-add-'));
  return () => rm(directory, { recursive: true });
});

const sizePx = 64;
const cells = 64 + 16 + 4; // of strides 8, 16, 32

function output(name: string, shape: readonly number[], at: Readonly<Record<number, number>>): ConstantOutput {
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  for (const [index, value] of Object.entries(at)) values[Number(index)] = value;
  return { name, shape, values };
}

/** Each says: one car, score 0.8, from (8, 16) to (40, 48). */
const forms: readonly {
  readonly family: string;
  readonly outputs: readonly ConstantOutput[];
  readonly sizeInput?: string;
  readonly labels?: readonly string[];
}[] = [
  {
    family: 'yolov5',
    outputs: [output('output0', [1, 3 * cells, 7], { 0: 24, 1: 32, 2: 32, 3: 32, 4: 1, 6: 0.8 })],
  },
  {
    family: 'yolov8',
    outputs: [
      output('output0', [1, 6, cells], { 0: 24, [cells]: 32, [2 * cells]: 32, [3 * cells]: 32, [5 * cells]: 0.8 }),
    ],
  },
  {
    // Cell (24, 32) of stride 8, and two strides to each side.
    family: 'nanodet',
    outputs: [
      output('output', [1, cells + 1, 34], {
        [35 * 34 + 1]: 0.8,
        ...Object.fromEntries([0, 1, 2, 3].map((side) => [35 * 34 + 2 + side * 8 + 2, 50])),
      }),
    ],
  },
  { family: 'yolo_nms', outputs: [output('output0', [1, 300, 6], { 0: 8, 1: 16, 2: 40, 3: 48, 4: 0.8, 5: 1 })] },
  {
    family: 'rtdetr',
    sizeInput: 'orig_target_sizes',
    outputs: [
      { ...output('labels', [1, 20], { 0: 1 }), isInteger: true },
      output('boxes', [1, 20, 4], { 0: 8, 1: 16, 2: 40, 3: 48 }),
      output('scores', [1, 20], { 0: 0.8 }),
    ],
  },
  {
    family: 'rtdetr',
    outputs: [
      output('logits', [1, 1, 2], { 0: -9, 1: Math.log(4) }),
      output('pred_boxes', [1, 1, 4], { 0: 24 / 64, 1: 0.5, 2: 0.5, 3: 0.5 }),
    ],
  },
  {
    // With two classes it would have the form of yolo_nms.
    family: 'rtdetr',
    labels: ['person', 'car', 'bus'],
    outputs: [output('output0', [1, 300, 7], { 0: 24 / 64, 1: 0.5, 2: 0.5, 3: 0.5, 5: 0.8 })],
  },
  {
    family: 'ssd',
    outputs: [
      output('detection_boxes', [1, 10, 4], { 0: 0.25, 1: 0.125, 2: 0.75, 3: 0.625 }),
      output('detection_classes', [1, 10], { 0: 2 }),
      output('detection_scores', [1, 10], { 0: 0.8 }),
      output('num_detections', [1], { 0: 1 }),
    ],
  },
  {
    family: 'ssd',
    outputs: [
      output('boxes', [1, 4], { 0: 8, 1: 16, 2: 40, 3: 48 }),
      { ...output('labels', [1], { 0: 2 }), isInteger: true },
      output('scores', [1], { 0: 0.8 }),
    ],
  },
];

describe('finds out the family of a network of its output form, and reads its boxes', () => {
  test.each(forms)(
    '$family, $outputs.length outputs',
    async ({ family, outputs, sizeInput, labels = ['person', 'car'] }) => {
      const file = join(directory, 'Some Model.onnx');
      const input = { shape: [1, 3, sizePx, sizePx], ...(sizeInput === undefined ? {} : { sizeInput }) };
      await writeFile(file, encodeConstantModel(outputs, input, { names: JSON.stringify(labels) }));
      const added = await addModel({ file, directory: join(directory, 'models') });
      expect(added.manifest).toMatchObject({ family, name: 'some-model', labels });

      const model = await createModelLibrary({ directories: [join(directory, 'models')] }).load('some-model');
      const session = await openDetectorSession(model.bytes, model.manifest, scoreRules(model.manifest));
      const data = new Uint8Array(sizePx * sizePx * 3);
      const { boxes } = await session.detect({ format: 'gbrp', widthPx: sizePx, heightPx: sizePx, data });
      await session.close();
      expect([...boxes].map((value) => Math.round(value * 1000) / 1000)).toEqual([8, 16, 40, 48, 0.8, 1]);
    },
  );
});

test('a pose model gives the keypoints of each object', async () => {
  const values = new Float32Array(56 * cells);
  const column = [24, 32, 32, 32, 0.8, ...Array.from({ length: 17 }, (_, point) => [point, 2 * point, 0.5]).flat()];
  column.forEach((value, plane) => {
    values[plane * cells + 3] = value;
  });
  const file = join(directory, 'pose.onnx');
  const one = { name: 'output0', shape: [1, 56, cells], values };
  await writeFile(file, encodeConstantModel([one], { shape: [1, 3, sizePx, sizePx] }));
  const { manifest } = await addModel({ file, directory: join(directory, 'models') });
  expect(manifest).toMatchObject({ family: 'yolov8_pose', task: 'pose', labels: ['person'] });
  const model = await createModelLibrary({ directories: [join(directory, 'models')] }).load('pose');
  const session = await openDetectorSession(model.bytes, model.manifest, scoreRules(model.manifest));
  const data = new Uint8Array(sizePx * sizePx * 3);
  const found = await session.detect({ format: 'gbrp', widthPx: sizePx, heightPx: sizePx, data });
  await session.close();
  expect([...found.boxes.subarray(0, 4)]).toEqual([8, 16, 40, 48]);
  expect([...found.keypoints]).toEqual(column.slice(5));
  expect(keypointNamesOf(manifest).slice(0, 2)).toEqual(['nose', 'left_eye']);
});

test('a pose model of other keypoints is known by what its file says', async () => {
  const file = join(directory, 'hand.onnx');
  const one = output('output0', [1, 5 + 3 * 21, cells], { 0: 24 });
  const notes = { task: 'pose', kpt_shape: '[21, 3]', names: "{0: 'hand'}" };
  await writeFile(file, encodeConstantModel([one], { shape: [1, 3, sizePx, sizePx] }, notes));
  const { manifest } = await addModel({ file, directory: join(directory, 'models') });
  expect(manifest).toMatchObject({ family: 'yolov8_pose', labels: ['hand'] });
  expect(keypointNamesOf(manifest)).toHaveLength(21);
});

describe('one output for the whole picture', () => {
  async function add(
    fileName: string,
    values: readonly number[],
    options: { labels?: string[]; family?: 'classification' | 'embedding' } = {},
  ) {
    const file = join(directory, fileName);
    const one = { name: 'output', shape: [1, values.length], values: Float32Array.from(values) };
    await writeFile(file, encodeConstantModel([one], { shape: [1, 3, sizePx, sizePx] }));
    return addModel({ file, directory: join(directory, 'models'), ...options });
  }

  async function boxesOf(name: string): Promise<number[]> {
    const model = await createModelLibrary({ directories: [join(directory, 'models')] }).load(name);
    const session = await openDetectorSession(model.bytes, model.manifest, scoreRules(model.manifest));
    const data = new Uint8Array(sizePx * sizePx * 3);
    const { boxes } = await session.detect({ format: 'gbrp', widthPx: sizePx, heightPx: sizePx, data });
    await session.close();
    return [...boxes].map((value) => Math.round(value * 1000) / 1000);
  }

  test('of a classifier with scores is an object as large as the picture', async () => {
    const { manifest } = await add('weather.onnx', [0.1, 0.7, 0.2], { labels: ['sun', 'rain', 'snow'] });
    expect(manifest).toMatchObject({
      task: 'classification',
      family: 'classification',
      outputs: { activation: 'none' },
    });
    expect(await boxesOf('weather')).toEqual([0, 0, 64, 64, 0.7, 1]);
  });

  test('of a classifier without them gets its softmax', async () => {
    await add('weather.onnx', [0, Math.log(3), 0], { labels: ['sun', 'rain', 'snow'] });
    expect(await boxesOf('weather')).toEqual([0, 0, 64, 64, 0.6, 1]);
  });

  const directionOf100 = Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? 0.1 : -0.1));

  test.each([
    ['person-reid.onnx', Array.from({ length: 200 }, (_, at) => at), ['person'], 'likely'],
    ['vehicle-reid.onnx', directionOf100, ['car', 'motorcycle', 'bus', 'truck'], 'certain'],
    ['net.onnx', directionOf100, null, 'certain'],
  ])('of an embedding is known by its name or its length: %s', async (fileName, values, classes, certainty) => {
    const { manifest, findings, objects } = await add(fileName, values);
    expect(manifest).toMatchObject({ family: 'embedding', task: 'embedding', outputs: { classes, maxObjects: 16 } });
    expect(findings.find(({ what }) => what === 'family')).toMatchObject({ certainty });
    expect(objects).toBeNull();
  });

  test('that may be classes or an embedding asks, and takes the answer', async () => {
    const values = Array.from({ length: 512 }, (_, at) => at);
    await expect(add('net.onnx', values)).rejects.toMatchObject({
      message: expect.stringContaining('or an embedding') as string,
      action: expect.stringContaining('--family embedding') as string,
    });
    const { manifest } = await add('net.onnx', values, { family: 'embedding', labels: ['person'] });
    expect(manifest).toMatchObject({ family: 'embedding', outputs: { classes: ['person'] } });
  });

  test('that nothing names the classes of, asks for them', async () => {
    await expect(add('net.onnx', [1, 2, 3])).rejects.toMatchObject({
      action: expect.stringContaining('--labels') as string,
    });
  });
});

test('a model of bytes in rows of pixels is fed as it wants', async () => {
  const [form] = forms.filter(({ family }) => family === 'ssd');
  const file = join(directory, 'rows.onnx');
  await writeFile(file, encodeConstantModel(form?.outputs ?? [], { shape: [1, 48, sizePx, 3] }));
  const { manifest } = await addModel({ file, directory, labels: ['person', 'car'] });
  expect(manifest.input).toMatchObject({ layout: 'NHWC', widthPx: 64, heightPx: 48 });
});

test('says what to add where the file does not name its classes', async () => {
  const file = join(directory, 'mine.onnx');
  await writeFile(file, encodeConstantModel(forms[1]?.outputs ?? [], { shape: [1, 3, sizePx, sizePx] }));
  await expect(addModel({ file, directory: join(directory, 'models') })).rejects.toMatchObject({
    code: 'SIGHTLINE_MODEL_MANIFEST_INVALID',
    message: expect.stringContaining('family yolov8 with 2 classes') as string,
    action: expect.stringContaining('--labels') as string,
  });
  expect(await readdir(directory)).toEqual(['mine.onnx']);
});

test('a version that is there is never changed', async () => {
  const options = { directory: join(directory, 'models'), labels: ['person', 'car'], name: 'mine', version: '1' };
  const files = await Promise.all(
    [forms[0], forms[1]].map(async (form, index) => {
      const file = join(directory, `${index}.onnx`);
      await writeFile(file, encodeConstantModel(form?.outputs ?? [], { shape: [1, 3, sizePx, sizePx] }));
      return file;
    }),
  );
  const [first = '', second = ''] = files;
  expect(await addModel({ ...options, file: first })).toMatchObject({ isNew: true });
  expect(await addModel({ ...options, file: first })).toMatchObject({ isNew: false });
  await expect(addModel({ ...options, file: second })).rejects.toMatchObject({
    code: 'SIGHTLINE_MODEL_DIGEST_MISMATCH',
  });
  await addModel({ ...options, file: second, version: '2' });
  const library = createModelLibrary({ directories: [options.directory] });
  expect((await library.find('mine@1')).manifest.family).toBe('yolov5');
  expect((await library.find('mine@2')).manifest.family).toBe('yolov8');
});

describe('the shape that pictures are run in', () => {
  async function shapeOf(form: (typeof forms)[number] | undefined, labels = ['person', 'car']) {
    const file = join(directory, 'net.onnx');
    await writeFile(file, encodeConstantModel(form?.outputs ?? [], { shape: [1, 3, sizePx, sizePx] }));
    const { manifest, findings } = await addModel({ file, directory: join(directory, 'models'), labels });
    const kept = (await createModelLibrary({ directories: [join(directory, 'models')] }).find('net')).manifest;
    expect(kept.input.resize).toEqual(manifest.input.resize);
    return { resize: kept.input.resize, said: findings.find(({ what }) => what === 'shape')?.value };
  }

  test('is its own for a network that gives as many cells whatever it is shown', async () => {
    const { resize, said } = await shapeOf(forms.find(({ family }) => family === 'yolov8'));
    expect([resize, said]).toEqual([expect.objectContaining({ shape: 'fixed' }), 'fixed']);
  });

  test('is none where pictures are pulled to the size of the input', async () => {
    const { resize, said } = await shapeOf(forms.find(({ family }) => family === 'ssd'));
    expect([resize, said]).toEqual([{ mode: 'stretch' }, undefined]);
  });
});

const folder = testDataPath('models/yolox_nano.onnx');

test.skipIf(folder === undefined)('a network of convolutions is run without the filling of a picture', async () => {
  const added = await addModel({ file: folder ?? '', directory: join(directory, 'models') });
  const { manifest } = await createModelLibrary({ directories: [join(directory, 'models')] }).find('yolox-nano');
  expect(manifest.input.resize).toMatchObject({ mode: 'letterbox', shape: 'trim' });
  expect(added.findings).toContainEqual(expect.objectContaining({ what: 'shape', value: 'trim' }));

  // One that was added before, as it was then.
  const text = await readFile(added.manifestPath, 'utf8');
  await writeFile(added.manifestPath, text.replace('shape: trim', 'shape: fixed'));
  const again = await addModel({ file: folder ?? '', directory: join(directory, 'models') });
  expect(again).toMatchObject({ isNew: false, manifest: { input: { resize: { shape: 'fixed' } } } });
  expect(again.findings).toContainEqual(expect.objectContaining({ what: 'shape', value: 'fixed' }));
});

test.skipIf(folder === undefined)(
  'takes every model of the test data without a hint',
  async () => {
    const files = (await readdir(dirname(folder ?? ''))).filter((name) => name.endsWith('.onnx'));
    const families: Record<string, string> = {};
    for (const name of files) {
      const file = join(dirname(folder ?? ''), name);
      families[name] = (await addModel({ file, directory })).manifest.family;
    }
    expect(families).toEqual({
      'FastestDet.onnx': 'fastestdet',
      'face_version-RFB-320.onnx': 'ultraface',
      'face_yunet_2023mar_dyn.onnx': 'yunet',
      'person_yolox_192.onnx': 'yolox',
      'picodet_s_320_coco.onnx': 'picodet',
      'picodet_s_320_coco_noinit.onnx': 'picodet',
      'picodet_s_416_coco.onnx': 'picodet',
      'picodet_s_416_coco_noinit.onnx': 'picodet',
      'yolox_nano.onnx': 'yolox',
    });
  },
  120_000,
);
