import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { manifestJsonSchema, parseManifest } from '../../../services/inference/model-manifest.ts';

const good = `schema_version: 1
name: test
version: '1'
file: test.onnx
sha256: ${'a'.repeat(64)}
task: detection
family: picodet
input:
  name: image
  width_px: 320
  height_px: 256
  layout: NCHW
  dtype: float32
  channel_order: RGB
  mean: [1, 2, 3]
  std: [4, 5, 6]
  resize: { mode: stretch }
outputs: { strides: [8, 16], reg_max: 7 }
labels: [person, car]
thresholds: { score: 0.4, nms_iou: 0.6, per_class: { car: 0.2 } }
precision: FP32
licence: Apache-2.0
source: a test
`;

function parse(text: string): ReturnType<typeof parseManifest> {
  return parseManifest(text, 'manifest test.yaml', () => ['from', 'file']);
}

function replaced(from: string, to: string): string {
  if (!good.includes(from)) throw new Error(`the good manifest does not hold ${from}`);
  return good.replace(from, to);
}

test('reads a manifest into what the code uses', () => {
  expect(parse(good)).toEqual({
    name: 'test',
    version: '1',
    file: 'test.onnx',
    sha256: 'a'.repeat(64),
    task: 'detection',
    family: 'picodet',
    input: {
      name: 'image',
      layout: 'NCHW',
      dtype: 'float32',
      widthPx: 320,
      heightPx: 256,
      channelOrder: 'RGB',
      mean: [1, 2, 3],
      std: [4, 5, 6],
      resize: { mode: 'stretch' },
    },
    outputs: { strides: [8, 16], regMax: 7 },
    labels: ['person', 'car'],
    thresholds: { score: 0.4, perClass: { car: 0.2 }, nmsIou: 0.6, maxObjects: 300 },
    precision: 'FP32',
    licence: 'Apache-2.0',
    source: 'a test',
  });
});

test('reads labels from a file of their own', () => {
  expect(
    parse(replaced('labels: [person, car]', 'labels_file: a.names').replace(', per_class: { car: 0.2 }', '')).labels,
  ).toEqual(['from', 'file']);
});

describe('names the field that is wrong', () => {
  test.each([
    ['an unknown field', 'precision: FP32', 'precision: FP32\ncolour: red', /colour is not a known/],
    ['an unknown field further in', 'name: image', 'name: image\n  channels: 3', /input\.channels is not a known/],
    ['a missing field', 'licence: Apache-2.0\n', '', /licence is missing/],
    ['a wrong type', 'width_px: 320', 'width_px: wide', /input\.width_px must be a whole number/],
    [
      'a size that no machine has room for',
      'width_px: 320',
      'width_px: 1000000',
      /input\.width_px must be at most 4096/,
    ],
    ['an unknown family', 'family: picodet', 'family: resnet', /family must be one of yolox, picodet/],
    ['a parameter of the family that is missing', ', reg_max: 7', '', /outputs\.reg_max is missing/],
    ['a mean of two numbers', 'mean: [1, 2, 3]', 'mean: [1, 2]', /input\.mean must have at least 3/],
    ['a division by zero', 'std: [4, 5, 6]', 'std: [4, 0, 6]', /input\.std\.1 must be more than 0/],
    [
      'a letterbox without its anchor',
      '{ mode: stretch }',
      '{ mode: letterbox, pad_value: 1 }',
      /input\.resize\.anchor is missing/,
    ],
    [
      'another channel order',
      'channel_order: RGB',
      'channel_order: GBR',
      /input\.channel_order must be one of "RGB", "BGR"/,
    ],
    ['a file in another directory', 'file: test.onnx', 'file: ../../etc/passwd', /file must match/],
    ['a digest that is none', 'a'.repeat(64), 'abc', /sha256 must match/],
    [
      'a class of the thresholds that is no label',
      'car: 0.2',
      'dog: 0.2',
      /thresholds\.per_class\.dog is not one of the labels/,
    ],
    ['a label twice', '[person, car]', '[car, car]', /labels holds no labels, or one of them twice/],
    [
      'labels given twice',
      'labels: [person, car]',
      'labels: [person, car]\nlabels_file: a.names',
      /labels_file stands beside labels/,
    ],
    ['no labels at all', 'labels: [person, car]\n', '', /labels is missing/],
    ['a later version of the format', 'schema_version: 1', 'schema_version: 2', /schema_version must be 1/],
  ])('%s', (_, from, to, message) => {
    expect(() => parse(replaced(from, to))).toThrow(
      expect.objectContaining({
        code: 'SIGHTLINE_MODEL_MANIFEST_INVALID',
        message: expect.stringMatching(message) as string,
      }),
    );
  });
});

describe('refuses what is not a plain YAML manifest', () => {
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]']
    .concat(
      'bcdefghij'
        .split('')
        .map((name, index) => `${name}: &${name} [${new Array(9).fill(`*${'abcdefghi'[index] ?? ''}`).join(', ')}]`),
    )
    .join('\n');

  test.each([
    ['a bomb of aliases', bomb, /aliases exceeded/],
    ['a field twice', `${good}name: other\n`, /line 24, column 1: duplicated mapping key/],
    ['broken YAML', 'name: [', /line 1/],
    ['a list', '- 1', /holds no fields/],
    ['nothing', '', /holds no fields/],
    ['a megabyte of text', `# ${'x'.repeat(1024 * 1024)}`, /larger than/],
  ])('%s', (_, text, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: 'SIGHTLINE_MODEL_MANIFEST_INVALID',
        message: expect.stringMatching(message) as string,
      }),
    );
  });
});

test('the published schema is the one that the code checks by (else: node models/write-manifest-schema.ts)', () => {
  const published: unknown = JSON.parse(
    readFileSync(`${import.meta.dirname}/../../../models/manifest.schema.json`, 'utf8'),
  );
  expect(published).toEqual(JSON.parse(JSON.stringify(manifestJsonSchema)));
});

test('every manifest that comes with Sightline is valid', () => {
  const text = readFileSync(`${import.meta.dirname}/../../../models/yolox-nano.yaml`, 'utf8');
  expect(parseManifest(text, 'yolox-nano.yaml', () => []).labels).toHaveLength(80);
});
