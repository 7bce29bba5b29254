import type { ModelFamily } from './model.ts';

interface Letterbox {
  readonly place: 'top_left' | 'centre';
  readonly padValue: number;
}

/** What the families' authors feed their models with; a manifest of the same family for another training may differ. */
export interface Preprocessing {
  readonly channelOrder: 'RGB' | 'BGR';
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly resize: 'stretch' | Letterbox;
  readonly score: number;
  readonly nmsIou: number;
  readonly oneClass?: string;
}

export const plainBytes = { mean: [0, 0, 0], std: [1, 1, 1] };
const byte = { mean: [0, 0, 0], std: [255, 255, 255] };
const centred: Letterbox = { place: 'centre', padValue: 114 };

export const preprocessing: Readonly<Record<ModelFamily, Preprocessing>> = {
  yolox: { channelOrder: 'BGR', ...plainBytes, resize: { place: 'top_left', padValue: 114 }, score: 0.3, nmsIou: 0.45 },
  picodet: {
    channelOrder: 'RGB',
    mean: [123.675, 116.28, 103.53],
    std: [58.395, 57.12, 57.375],
    resize: 'stretch',
    score: 0.4,
    nmsIou: 0.6,
  },
  nanodet: {
    channelOrder: 'BGR',
    mean: [103.53, 116.28, 123.675],
    std: [57.375, 57.12, 58.395],
    resize: 'stretch',
    score: 0.4,
    nmsIou: 0.6,
  },
  yolov5: { channelOrder: 'RGB', ...byte, resize: centred, score: 0.25, nmsIou: 0.45 },
  yolov8: { channelOrder: 'RGB', ...byte, resize: centred, score: 0.25, nmsIou: 0.7 },
  yolov8_pose: { channelOrder: 'RGB', ...byte, resize: centred, score: 0.25, nmsIou: 0.7, oneClass: 'person' },
  yolo_nms: { channelOrder: 'RGB', ...byte, resize: centred, score: 0.25, nmsIou: 1 },
  rtdetr: { channelOrder: 'RGB', ...byte, resize: 'stretch', score: 0.5, nmsIou: 1 },
  ssd: { channelOrder: 'RGB', ...plainBytes, resize: 'stretch', score: 0.5, nmsIou: 1 },
  fastestdet: { channelOrder: 'BGR', ...byte, resize: 'stretch', score: 0.6, nmsIou: 0.45 },
  ultraface: {
    channelOrder: 'RGB',
    mean: [127, 127, 127],
    std: [128, 128, 128],
    resize: 'stretch',
    score: 0.7,
    nmsIou: 0.3,
    oneClass: 'face',
  },
  yunet: {
    channelOrder: 'BGR',
    ...plainBytes,
    resize: { place: 'top_left', padValue: 0 },
    score: 0.7,
    nmsIou: 0.3,
    oneClass: 'face',
  },
  classification: {
    channelOrder: 'RGB',
    mean: [123.675, 116.28, 103.53],
    std: [58.395, 57.12, 57.375],
    resize: 'stretch',
    score: 0.3,
    nmsIou: 1,
  },
  // Of most models for persons and vehicles; those for faces differ, and say so on their own pages.
  embedding: {
    channelOrder: 'RGB',
    mean: [123.675, 116.28, 103.53],
    std: [58.395, 57.12, 57.375],
    resize: 'stretch',
    score: 0,
    nmsIou: 1,
  },
};
