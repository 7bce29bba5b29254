import type { Static } from 'typebox';
import { checkSchema, isRecord, type SettingsSchema } from '#shared/core/check-schema';
import { AppError } from '#shared/core/errors';
import { inputShapes } from '#shared/core/input-shape';
import { parseYaml } from '#shared/runtime/load-yaml';
import { taskOf, type ModelFamily, type ModelManifest, type ModelThresholds } from './core/model.ts';

const plainFileName = '^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$';
const fraction = { type: 'number', minimum: 0, maximum: 1 } as const satisfies SettingsSchema;
const strides = {
  type: 'array',
  items: { type: 'integer', minimum: 1, maximum: 1024 },
  minItems: 1,
  maxItems: 8,
  description: 'Cell sizes of the output grids in pixels, in the order of the output.',
} as const satisfies SettingsSchema;

const resize = {
  anyOf: [
    {
      type: 'object',
      required: ['mode', 'anchor', 'pad_value'],
      additionalProperties: false,
      properties: {
        mode: { const: 'letterbox', description: 'Aspect kept, the rest of the input filled.' },
        anchor: { enum: ['top_left', 'centre'] },
        pad_value: {
          type: 'number',
          minimum: 0,
          maximum: 255,
          description: 'Pixel value of the filling, before mean and std.',
        },
        shape: {
          enum: inputShapes,
          description:
            'Shape that a picture of another aspect is run in. fixed (default): as the file says; trim: the filling cut off, for less work; fit: as many pixels as the input has, shaped as the picture, for smaller objects.',
        },
      },
    },
    {
      type: 'object',
      required: ['mode'],
      additionalProperties: false,
      properties: { mode: { const: 'stretch', description: 'Pulled to the size of the input.' } },
    },
  ],
} as const satisfies SettingsSchema;

const commonFields = {
  schema_version: { const: 1 },
  name: {
    type: 'string',
    pattern: '^[a-z0-9][a-z0-9._-]{0,63}$',
    description: 'Name to run it by; stands on every record.',
  },
  version: { type: 'string', minLength: 1, maxLength: 64 },
  file: {
    type: 'string',
    pattern: plainFileName,
    description: 'The ONNX file, beside this manifest or in a model directory.',
  },
  sha256: { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'Of the ONNX file.' },
  task: {
    enum: ['detection', 'classification', 'pose', 'embedding'],
    description:
      'pose goes with family yolov8_pose, classification and embedding with those of their names, detection with the others.',
  },
  input: {
    type: 'object',
    required: ['name', 'width_px', 'height_px', 'layout', 'dtype', 'channel_order', 'mean', 'std', 'resize'],
    additionalProperties: false,
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 200 },
      width_px: { type: 'integer', minimum: 16, maximum: 4096 },
      height_px: { type: 'integer', minimum: 16, maximum: 4096 },
      layout: { enum: ['NCHW', 'NHWC'] },
      dtype: { enum: ['float32', 'uint8'] },
      channel_order: { enum: ['RGB', 'BGR'] },
      mean: {
        type: 'array',
        items: { type: 'number' },
        minItems: 3,
        maxItems: 3,
        description: 'Taken from each pixel value (0..255), in channel order.',
      },
      std: {
        type: 'array',
        items: { type: 'number', exclusiveMinimum: 0 },
        minItems: 3,
        maxItems: 3,
        description: 'The pixel value less mean is divided by this, in channel order.',
      },
      resize,
    },
  },
  labels: {
    type: 'array',
    items: { type: 'string', minLength: 1, maxLength: 100 },
    minItems: 1,
    maxItems: 10_000,
    description: 'Class names, class 0 first. Either this or labels_file.',
  },
  labels_file: {
    type: 'string',
    pattern: plainFileName,
    description: 'Text file with one class name a line, beside this manifest or in a model directory.',
  },
  thresholds: {
    type: 'object',
    required: ['score', 'nms_iou'],
    additionalProperties: false,
    properties: {
      score: { ...fraction, description: 'Lowest score that an object is reported with.' },
      per_class: { type: 'object', additionalProperties: { ...fraction, description: 'The same for one class.' } },
      nms_iou: { ...fraction, description: 'Boxes of one class that overlap by more are one object.' },
      max_objects: {
        type: 'integer',
        minimum: 1,
        maximum: 1000,
        description: 'Most objects of one frame. Default 300.',
      },
    },
  },
  precision: { enum: ['FP32', 'FP16', 'INT8'] },
  licence: { type: 'string', minLength: 1, maxLength: 200, description: 'SPDX name of the licence of the weights.' },
  source: { type: 'string', minLength: 1, maxLength: 1000, description: 'Where the file comes from.' },
} as const satisfies Record<string, SettingsSchema>;

const alwaysRequired = [
  ...['schema_version', 'name', 'version', 'file', 'sha256', 'task', 'family', 'input', 'outputs'],
  ...['precision', 'licence', 'source'],
] as const;
const required = [...alwaysRequired, 'thresholds'] as const;

const noOutputs = { type: 'object', additionalProperties: false, properties: {} } as const satisfies SettingsSchema;

const grid = {
  type: 'object',
  required: ['strides'],
  additionalProperties: false,
  properties: { strides },
} as const satisfies SettingsSchema;

const distributions = {
  type: 'object',
  required: ['strides', 'reg_max'],
  additionalProperties: false,
  properties: {
    strides,
    reg_max: { type: 'integer', minimum: 1, maximum: 64, description: 'Distances are distributions over 0..reg_max.' },
  },
} as const satisfies SettingsSchema;

const ssdOutputs = {
  type: 'object',
  required: ['box_form', 'first_label'],
  additionalProperties: false,
  properties: {
    box_form: {
      enum: ['yxyx_fraction', 'xyxy_pixels'],
      description: 'TensorFlow has the first, torchvision the second.',
    },
    first_label: { type: 'integer', minimum: 0, maximum: 1, description: 'Number of the first label in the output.' },
  },
} as const satisfies SettingsSchema;

const classificationOutputs = {
  type: 'object',
  required: ['activation', 'top_k'],
  additionalProperties: false,
  properties: {
    activation: {
      enum: ['softmax', 'sigmoid', 'none'],
      description: 'What makes scores of the numbers; none where the graph does it.',
    },
    top_k: { type: 'integer', minimum: 1, maximum: 100, description: 'Most classes of one picture.' },
  },
} as const satisfies SettingsSchema;

const poseOutputs = {
  type: 'object',
  required: ['keypoints'],
  additionalProperties: false,
  properties: {
    keypoints: {
      type: 'array',
      items: { type: 'string', minLength: 1, maxLength: 100 },
      minItems: 1,
      maxItems: 200,
      description: 'Names of the keypoints, in the order of the output.',
    },
  },
} as const satisfies SettingsSchema;

const embeddingOutputs = {
  type: 'object',
  additionalProperties: false,
  properties: {
    classes: {
      type: 'array',
      items: { type: 'string', minLength: 1, maxLength: 100 },
      minItems: 1,
      maxItems: 1000,
      description: 'Classes of the objects that it describes, as the detector names them. Default: all.',
    },
    max_objects: {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      description: 'Most objects of one frame that it describes, the surest first: each is a run. Default 16.',
    },
  },
} as const satisfies SettingsSchema;

function familySchema<const Name extends string, const Outputs extends SettingsSchema>(family: Name, outputs: Outputs) {
  return {
    type: 'object',
    required,
    additionalProperties: false,
    properties: { ...commonFields, family: { const: family }, outputs },
  } as const;
}

const familySchemas = {
  yolox: familySchema('yolox', grid),
  picodet: familySchema('picodet', distributions),
  nanodet: familySchema('nanodet', distributions),
  yolov5: familySchema('yolov5', noOutputs),
  yolov8: familySchema('yolov8', noOutputs),
  yolov8_pose: familySchema('yolov8_pose', poseOutputs),
  yolo_nms: familySchema('yolo_nms', noOutputs),
  rtdetr: familySchema('rtdetr', noOutputs),
  ssd: familySchema('ssd', ssdOutputs),
  fastestdet: familySchema('fastestdet', noOutputs),
  ultraface: familySchema('ultraface', noOutputs),
  yunet: familySchema('yunet', grid),
  classification: familySchema('classification', classificationOutputs),
  // It has no classes of its own, so no thresholds.
  embedding: { ...familySchema('embedding', embeddingOutputs), required: alwaysRequired },
} as const satisfies Record<ModelFamily, SettingsSchema>;

/** What models/manifest.schema.json publishes, so that editors complete and check a manifest. */
export const manifestJsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Sightline model manifest',
  anyOf: Object.values(familySchemas),
};

type ManifestFile = { [Family in ModelFamily]: Static<(typeof familySchemas)[Family]> }[ModelFamily];

export const modelFamilies = Object.keys(familySchemas) as readonly ModelFamily[]; // the table has just these keys

export function isFamily(value: unknown): value is ModelFamily {
  return modelFamilies.some((family) => family === value);
}

/** Reads the labels file of that name; throws where it is not there. */
export type ReadLabels = (fileName: string) => readonly string[];

/** Checks the text of a manifest; throws SIGHTLINE_MODEL_MANIFEST_INVALID with the name of the field that is wrong. */
export function parseManifest(text: string, what: string, readLabels: ReadLabels): ModelManifest {
  const file = checkShape(parseYaml(text, { what, code: 'SIGHTLINE_MODEL_MANIFEST_INVALID' }), what);
  const labels = readAllLabels(file, what, readLabels);
  const thresholds = thresholdsOf(file.thresholds);
  for (const className of Object.keys(thresholds.perClass)) {
    if (!labels.includes(className))
      throw invalid(what, `thresholds.per_class.${className}`, 'is not one of the labels');
  }
  if (file.task !== taskOf(file.family))
    throw invalid(what, 'task', `must be ${taskOf(file.family)} with family ${file.family}`);
  const common = {
    name: file.name,
    version: file.version,
    file: file.file,
    sha256: file.sha256,
    task: file.task,
    input: inputOf(file),
    labels,
    thresholds,
    precision: file.precision,
    licence: file.licence,
    source: file.source,
  };
  switch (file.family) {
    case 'yolox':
    case 'yunet':
      return { ...common, family: file.family, outputs: { strides: file.outputs.strides } };
    case 'picodet':
    case 'nanodet':
      return {
        ...common,
        family: file.family,
        outputs: { strides: file.outputs.strides, regMax: file.outputs.reg_max },
      };
    case 'ssd':
      return {
        ...common,
        family: 'ssd',
        outputs: { boxForm: file.outputs.box_form, firstLabel: file.outputs.first_label },
      };
    case 'classification':
      return {
        ...common,
        family: 'classification',
        outputs: { activation: file.outputs.activation, topK: file.outputs.top_k },
      };
    case 'yolov8_pose':
      return { ...common, family: 'yolov8_pose', outputs: { keypoints: file.outputs.keypoints } };
    case 'embedding': {
      const { classes = null, max_objects: maxObjects = 16 } = file.outputs;
      return { ...common, family: 'embedding', outputs: { classes, maxObjects } };
    }
    case 'yolov5':
    case 'yolov8':
    case 'yolo_nms':
    case 'rtdetr':
    case 'fastestdet':
    case 'ultraface':
      return { ...common, family: file.family, outputs: {} };
  }
}

function thresholdsOf(from: ManifestFile['thresholds']): ModelThresholds {
  return {
    score: from?.score ?? 0,
    perClass: from?.per_class ?? {},
    nmsIou: from?.nms_iou ?? 1,
    maxObjects: from?.max_objects ?? 300,
  };
}

function checkShape(value: unknown, what: string): ManifestFile {
  if (!isRecord(value)) {
    throw new AppError('SIGHTLINE_MODEL_MANIFEST_INVALID', `${what} is not a model manifest: it holds no fields`);
  }
  // The family is looked at first: the fields of the others would only drown the message about the one that is wrong.
  const family = value['family'];
  if (!isFamily(family)) throw invalid(what, 'family', `must be one of ${modelFamilies.join(', ')}`);
  const [problem] = checkSchema(familySchemas[family], value);
  if (problem !== undefined) throw invalid(what, problem.path.join('.'), problem.reason);
  return value as unknown as ManifestFile; // the line above checked it against the schema that the type is made from
}

function readAllLabels(file: ManifestFile, what: string, readLabels: ReadLabels): readonly string[] {
  if (file.labels !== undefined && file.labels_file !== undefined)
    throw invalid(what, 'labels_file', 'stands beside labels; give one of them');
  if (file.labels === undefined && file.labels_file === undefined && file.family === 'embedding') return [];
  if (file.labels === undefined && file.labels_file === undefined)
    throw invalid(what, 'labels', 'is missing (or give labels_file)');
  const labels = file.labels ?? readLabels(file.labels_file ?? '');
  if (labels.length === 0 || new Set(labels).size !== labels.length) {
    throw invalid(what, file.labels === undefined ? 'labels_file' : 'labels', 'holds no labels, or one of them twice');
  }
  return labels;
}

function inputOf(file: ManifestFile): ModelManifest['input'] {
  const { input } = file;
  return {
    name: input.name,
    widthPx: input.width_px,
    heightPx: input.height_px,
    layout: input.layout,
    dtype: input.dtype,
    channelOrder: input.channel_order,
    mean: three(input.mean),
    std: three(input.std),
    resize:
      input.resize.mode === 'letterbox'
        ? {
            mode: 'letterbox',
            anchor: input.resize.anchor,
            padValue: input.resize.pad_value,
            shape: input.resize.shape ?? 'fixed',
          }
        : { mode: 'stretch' },
  };
}

function three([first = 0, second = 0, third = 0]: readonly number[]): [number, number, number] {
  return [first, second, third]; // the schema holds the list to three entries
}

function invalid(what: string, field: string, reason: string): AppError {
  return new AppError('SIGHTLINE_MODEL_MANIFEST_INVALID', `${what}: ${field} ${reason}`);
}
