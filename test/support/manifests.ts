import type { ModelManifest } from '../../services/inference/core/model.ts';

const common = {
  name: 'test',
  version: '1',
  file: 'test.onnx',
  sha256: '0'.repeat(64),
  task: 'detection',
  labels: ['person', 'car', 'dog'],
  thresholds: { score: 0.5, perClass: {}, nmsIou: 0.45, maxObjects: 100 },
  precision: 'FP32',
  licence: 'Apache-2.0',
  source: 'a test',
} as const;

const input = {
  name: 'images',
  layout: 'NCHW',
  dtype: 'float32',
  widthPx: 32,
  heightPx: 32,
  channelOrder: 'BGR',
  mean: [0, 0, 0],
  std: [1, 1, 1],
  resize: { mode: 'letterbox', anchor: 'top_left', padValue: 114, shape: 'fixed' },
} as const;

/** A small YOLOX: input 32x32, three classes, a grid of 4x4 and one of 2x2. */
export const yoloxManifest: Extract<ModelManifest, { family: 'yolox' }> = {
  ...common,
  family: 'yolox',
  input,
  outputs: { strides: [8, 16] },
};

/** A small PicoDet: input 32x32 stretched, three classes, four bins a side, a grid of 4x4 and one of 2x2. */
export const picodetManifest: Extract<ModelManifest, { family: 'picodet' }> = {
  ...common,
  family: 'picodet',
  input: {
    ...input,
    channelOrder: 'RGB',
    mean: [100, 110, 120],
    std: [50, 55, 60],
    resize: { mode: 'stretch' },
  },
  outputs: { strides: [8, 16], regMax: 3 },
};
