import { AppError } from '#shared/core/errors';
import { coco80Labels } from './coco-labels.ts';
import type { GuessHints, ModelFacts, TensorFacts } from './model-facts.ts';
import { cocoKeypoints } from './keypoint-names.ts';
import type { ModelFamily } from './model.ts';
import { describedClasses, guessVector } from './model-guess-vectors.ts';
import { plainBytes, preprocessing, type Preprocessing } from './model-preprocessing.ts';

/** `certain`: no other family has this form. `likely`: others could. `assumed`: nothing in the file says it. */
export type Certainty = 'certain' | 'likely' | 'assumed';

export interface Finding {
  readonly what: string;
  readonly value: string;
  readonly certainty: Certainty;
  readonly because: string;
}

interface FamilyRule {
  readonly family: ModelFamily;
  readonly certainty: Certainty;
  readonly because: string;
  /** Number of classes by the shapes; null where they do not show it. */
  readonly classes: number | null;
}

export interface InputFacts {
  readonly name: string;
  readonly layout: 'NCHW' | 'NHWC';
  readonly dtype: 'float32' | 'uint8';
  readonly widthPx: number;
  readonly heightPx: number;
  /** False where the file leaves the size open and a usual one was taken. */
  readonly isDeclared: boolean;
}

/** The picture input and its size, `size` over what is left open. Throws SIGHTLINE_MODEL_SHAPE_MISMATCH with what to add. */
export function guessInput(
  inputs: readonly TensorFacts[],
  size?: { readonly widthPx: number; readonly heightPx: number },
): InputFacts {
  const [picture, ...others] = inputs.filter(({ shape }) => shape.length === 4);
  if (picture === undefined || others.length > 0) {
    const found = inputs.map(({ name, shape }) => `${name} [${shape.join(',')}]`).join(' ');
    throw new AppError('SIGHTLINE_MODEL_SHAPE_MISMATCH', `the model has no single picture input: ${found}`, {
      action: 'Export the model with one input [1,3,height,width] or [1,height,width,3].',
    });
  }
  const { name, type, shape } = picture;
  if (type !== 'float32' && type !== 'uint8') {
    throw new AppError('SIGHTLINE_MODEL_SHAPE_MISMATCH', `the input '${name}' is ${type}, not float32 or uint8`, {
      action: 'Export the model with float32 inputs and outputs.',
    });
  }
  const layout = shape[3] === 3 && shape[1] !== 3 ? 'NHWC' : 'NCHW';
  const [height, width] = layout === 'NCHW' ? [shape[2], shape[3]] : [shape[1], shape[2]];
  const isDeclared = isSize(height) && isSize(width);
  return {
    name,
    layout,
    dtype: type,
    widthPx: isSize(width) ? width : (size?.widthPx ?? usualSizePx),
    heightPx: isSize(height) ? height : (size?.heightPx ?? usualSizePx),
    isDeclared,
  };
}

const usualSizePx = 640;

function isSize(value: number | string | undefined): value is number {
  return typeof value === 'number' && value > 0;
}

export interface ModelGuess {
  readonly family: ModelFamily;
  readonly labels: readonly string[];
  readonly input: Record<string, unknown>;
  readonly outputs: Record<string, unknown>;
  readonly thresholds: { readonly score: number; readonly nms_iou: number };
  readonly findings: readonly Finding[];
}

/** Everything that a manifest needs to say, from the shapes of a real run and the file's own words. Throws with what to add. */
export function guessModel(facts: ModelFacts, input: InputFacts, hints: GuessHints = {}): ModelGuess {
  const rule = hints.family === undefined ? guessFamily(facts, input, hints) : given(hints.family, facts, input);
  const { family } = rule;
  const pre = preprocessing[family];
  const named = guessLabels(facts, rule, hints, pre);
  // An input of bytes is normalised in the graph.
  const scale = input.dtype === 'uint8' ? plainBytes : pre;
  const findings: Finding[] = [
    { what: 'family', value: family, certainty: rule.certainty, because: rule.because },
    {
      what: 'input',
      value: `${input.layout} ${input.widthPx}x${input.heightPx} ${input.dtype}`,
      certainty: input.isDeclared ? 'certain' : 'assumed',
      because: input.isDeclared
        ? 'the file declares it'
        : 'the file leaves the size open; --size WIDTHxHEIGHT sets another',
    },
    {
      what: 'preprocessing',
      value: `${pre.channelOrder}, mean ${scale.mean.join(' ')}, std ${scale.std.join(' ')}, ${pre.resize === 'stretch' ? 'stretched' : `letterbox ${pre.resize.place}`}`,
      certainty: 'likely',
      because: `what ${family === 'embedding' ? 'most of them' : `the authors of ${family}`} use; no file says it`,
    },
    {
      what: family === 'embedding' ? 'objects' : 'labels',
      value: named.labels.length === 0 ? 'all' : shortList(named.labels),
      certainty: named.certainty,
      because: named.because,
    },
  ];
  return {
    family,
    labels: named.labels,
    input: {
      name: input.name,
      width_px: input.widthPx,
      height_px: input.heightPx,
      layout: input.layout,
      dtype: input.dtype,
      channel_order: pre.channelOrder,
      mean: scale.mean,
      std: scale.std,
      resize:
        pre.resize === 'stretch'
          ? { mode: 'stretch' }
          : { mode: 'letterbox', anchor: pre.resize.place, pad_value: pre.resize.padValue },
    },
    outputs: outputsOf(family, facts, input, named.labels),
    thresholds: { score: pre.score, nms_iou: pre.nmsIou },
    findings,
  };
}

function shortList(labels: readonly string[]): string {
  return labels.length <= 4 ? labels.join(', ') : `${labels.length}: ${labels.slice(0, 3).join(', ')}, …`;
}

function given(family: ModelFamily, facts: ModelFacts, input: InputFacts): FamilyRule {
  const [first] = facts.outputs;
  if ((family === 'classification' || family === 'embedding') && first !== undefined)
    return { family, certainty: 'certain', because: 'you said so', classes: Number(first.shape[1]) };
  const seen = rules(facts, input).find((rule) => rule.family === family);
  return { family, certainty: 'certain', because: 'you said so', classes: seen?.classes ?? null };
}

function guessFamily(facts: ModelFacts, input: InputFacts, hints: GuessHints): FamilyRule {
  const vector = guessVector(facts, hints, labelsOfMetadata(facts.metadata));
  if (vector !== undefined) return vector;
  const fitting = rules(facts, input);
  const wanted = hints.labels?.length;
  const byLabels = fitting.filter((rule) => wanted === undefined || rule.classes === null || rule.classes === wanted);
  const [first] = byLabels.length > 0 ? byLabels : fitting;
  if (first !== undefined) return first;
  const found = facts.outputs.map(({ name, shape }) => `${name} [${shape.join(',')}]`).join(' ');
  throw new AppError('SIGHTLINE_MODEL_SHAPE_MISMATCH', `no family has outputs of this form: ${found}`, {
    action: 'Say which it is with --family; docs/models.md lists the families and the outputs that each has.',
  });
}

/** The families whose output form this is, the likeliest first. */
function rules(facts: ModelFacts, input: InputFacts): readonly FamilyRule[] {
  const shapes = facts.outputs.map(({ shape }) => shape.map(Number));
  const cells = (strides: readonly number[]): number =>
    strides.reduce((sum, stride) => sum + Math.ceil(input.widthPx / stride) * Math.ceil(input.heightPx / stride), 0);
  const has = (pattern: RegExp): boolean => facts.outputs.some(({ name }) => pattern.test(name));
  const found: FamilyRule[] = [];
  const add = (family: ModelFamily, certainty: Certainty, because: string, classes: number | null): void => {
    found.push({ family, certainty, because, classes });
  };
  const [only] = shapes;
  if (shapes.length === 1 && only !== undefined) {
    const [, second = 0, last = 0] = only;
    if (only.length === 4) add('fastestdet', 'certain', 'one output of planes on a grid', second - 5);
    if (only.length === 3 && last === 6 && second <= 1000 && second !== cells([8, 16, 32]))
      add('yolo_nms', 'likely', 'one output of at most 1000 rows of 6', null);
    if (only.length === 3 && second === cells([8, 16, 32]) && last > 5)
      add('yolox', 'certain', 'one output with a row for each cell of strides 8, 16, 32', last - 5);
    if (only.length === 3 && second === cells([8, 16, 32, 64]) && last > 32)
      add('nanodet', 'certain', 'one output with a row for each cell of strides 8, 16, 32, 64', last - 32);
    if (only.length === 3 && second === 3 * cells([8, 16, 32]) && last > 5)
      add('yolov5', 'certain', 'one output with three rows for each cell of strides 8, 16, 32', last - 5);
    // x, y and visibility of each keypoint. Of other numbers than COCO's 17 only the file's own word tells them from classes.
    const isPose = facts.metadata['task'] === 'pose' || facts.metadata['kpt_shape'] !== undefined;
    if (only.length === 3 && last === cells([8, 16, 32]) && (isPose || second === cocoPosePlanes))
      add(
        'yolov8_pose',
        isPose ? 'certain' : 'likely',
        isPose ? 'the file says that it finds poses' : 'a column for each cell with a box, one score and 17 keypoints',
        isPose ? (labelsOfMetadata(facts.metadata)?.length ?? 1) : 1,
      );
    if (only.length === 3 && last === cells([8, 16, 32]) && second > 4)
      add('yolov8', 'certain', 'one output with a column for each cell of strides 8, 16, 32', second - 4);
    if (found.length === 0 && only.length === 3 && second <= 1000 && last > 6)
      add('rtdetr', 'likely', 'one output with a row for each of a few hundred queries', last - 4);
  }
  const ofWidth = (width: number): number => shapes.filter((dims) => dims.length === 3 && dims[2] === width).length;
  if (shapes.length === 12 && ofWidth(10) === 3 && ofWidth(4) === 3)
    add('yunet', 'certain', 'scores, boxes and five landmarks for three strides', 1);
  if (shapes.length === 2 && ofWidth(2) === 1 && ofWidth(4) === 1 && has(/score/i))
    add('ultraface', 'certain', 'two scores and a box in fractions for each prior', 1);
  const distances = ofWidth(32);
  if (shapes.length >= 4 && shapes.length === 2 * distances) {
    const classes = shapes.find((dims) => dims[2] !== 32)?.[2] ?? 32;
    add('picodet', 'certain', `scores and distances over 8 bins for ${distances} strides`, classes);
  }
  if (has(/score/i) && has(/class|label/i) && has(/box/i)) {
    const boxDims = shapes.find((dims) => dims.at(-1) === 4)?.length;
    const asksSize = facts.inputs.length === 2;
    if (asksSize || (shapes.length === 3 && boxDims === 3 && !has(/detection|num/i)))
      add('rtdetr', asksSize ? 'certain' : 'likely', 'labels, boxes and scores, and a second input for the size', null);
    else add('ssd', 'likely', 'boxes, scores and classes after suppression', null);
  }
  if (shapes.length === 2 && has(/logit/i) && has(/box/i)) {
    const logits = facts.outputs.find(({ name }) => /logit/i.test(name))?.shape[2];
    add('rtdetr', 'certain', 'logits and boxes of a few hundred queries', Number(logits));
  }
  return found;
}

/** Box, one score, and three numbers for each of the 17 keypoints of COCO. */
const cocoPosePlanes = 4 + 1 + 3 * cocoKeypoints.length;

function keypointNames(count: number): readonly string[] {
  return count === cocoKeypoints.length
    ? cocoKeypoints
    : Array.from({ length: count }, (_, index) => `keypoint_${index + 1}`);
}

interface NamedLabels {
  readonly labels: readonly string[];
  readonly certainty: Certainty;
  readonly because: string;
}

function guessLabels(facts: ModelFacts, rule: FamilyRule, hints: GuessHints, pre: Preprocessing): NamedLabels {
  if (rule.family === 'embedding') return guessDescribed(facts, hints);
  const { classes } = rule;
  const needed = (): AppError =>
    new AppError(
      'SIGHTLINE_MODEL_MANIFEST_INVALID',
      `the model is of family ${rule.family}${classes === null ? '' : ` with ${classes} classes`}, and nothing in the file names its classes`,
      { action: 'Name them, class 0 first: --labels person,car,… or --labels FILE with one name a line.' },
    );
  if (hints.labels !== undefined) {
    if (classes !== null && hints.labels.length !== classes) {
      throw new AppError(
        'SIGHTLINE_MODEL_MANIFEST_INVALID',
        `--labels names ${hints.labels.length} classes, the model has ${classes}`,
      );
    }
    return { labels: hints.labels, certainty: 'certain', because: 'you named them' };
  }
  const noted = labelsOfMetadata(facts.metadata);
  if (noted !== undefined && (classes === null || noted.length === classes))
    return { labels: noted, certainty: 'certain', because: 'the file names them' };
  if (pre.oneClass !== undefined)
    return { labels: [pre.oneClass], certainty: 'certain', because: 'the family has this one class' };
  if (classes === 80 && rule.family !== 'classification')
    return { labels: coco80Labels, certainty: 'likely', because: '80 classes: those of COCO, in its order' };
  if (classes === 1) {
    const word = /person|face|head|plate|vehicle|car\b/i.exec(facts.fileName)?.[0].toLowerCase();
    if (word !== undefined)
      return { labels: [word], certainty: 'likely', because: 'one class, and the name of the file' };
  }
  if (classes === null && (rule.family === 'yolo_nms' || rule.family === 'rtdetr'))
    return { labels: coco80Labels, certainty: 'assumed', because: 'nothing names the classes; --labels does' };
  throw needed();
}

/** Which objects an embedding is for; none: all. */
function guessDescribed(facts: ModelFacts, hints: GuessHints): NamedLabels {
  if (hints.labels !== undefined) return { labels: hints.labels, certainty: 'certain', because: 'you named them' };
  const classes = describedClasses(facts.fileName);
  return classes === null
    ? { labels: [], certainty: 'assumed', because: 'nothing says what it is for; --labels a,b does' }
    : { labels: classes, certainty: 'likely', because: 'the name of the file' };
}

/** Ultralytics notes `{0: 'person', 1: 'bicycle'}`, others a JSON list. */
function labelsOfMetadata(metadata: Readonly<Record<string, string>>): readonly string[] | undefined {
  const text = metadata['names'] ?? metadata['labels'] ?? metadata['classes'];
  if (text === undefined) return undefined;
  const pairs = [...text.matchAll(/(\d+)\s*:\s*(?:'([^']*)'|"([^"]*)")/g)];
  if (pairs.length > 0 && pairs.every((pair, index) => Number(pair[1]) === index))
    return pairs.map((pair) => pair[2] ?? pair[3] ?? '');
  const quoted = [...text.matchAll(/'([^']*)'|"([^"]*)"/g)].map((each) => each[1] ?? each[2] ?? '');
  return quoted.length > 0 ? quoted : undefined;
}

function outputsOf(
  family: ModelFamily,
  facts: ModelFacts,
  input: InputFacts,
  labels: readonly string[],
): Record<string, unknown> {
  switch (family) {
    case 'yolox':
    case 'yunet':
      return { strides: [8, 16, 32] };
    case 'nanodet': {
      const width = Number(facts.outputs[0]?.shape[2] ?? 0);
      return { strides: [8, 16, 32, 64], reg_max: Math.max(1, Math.floor((width - labels.length) / 4) - 1) };
    }
    case 'picodet': {
      const counts = new Set(facts.outputs.map(({ shape }) => Number(shape[1])));
      const strides = [8, 16, 32, 64, 128].filter((stride) =>
        counts.has(Math.ceil(input.widthPx / stride) * Math.ceil(input.heightPx / stride)),
      );
      return { strides, reg_max: 7 };
    }
    case 'ssd': {
      const isTensorflow = input.layout === 'NHWC' || facts.outputs.some(({ name }) => /detection|num/i.test(name));
      return { box_form: isTensorflow ? 'yxyx_fraction' : 'xyxy_pixels', first_label: 1 };
    }
    case 'classification':
      return { activation: facts.outputs[0]?.sums === 'to-one' ? 'none' : 'softmax', top_k: 1 };
    case 'embedding':
      return labels.length === 0 ? {} : { classes: labels };
    case 'yolov8_pose':
      return {
        keypoints: keypointNames(Math.floor((Number(facts.outputs[0]?.shape[1] ?? 0) - 4 - labels.length) / 3)),
      };
    case 'yolov5':
    case 'yolov8':
    case 'yolo_nms':
    case 'rtdetr':
    case 'fastestdet':
    case 'ultraface':
      return {};
  }
}
