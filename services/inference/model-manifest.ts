import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { AppError } from '#shared/core/errors';
import { parseYaml } from '#shared/runtime/load-yaml';
import type { ModelManifest } from './core/model.ts';

const strict = { additionalProperties: false } as const;
const plainFileName = '^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$';
const fraction = (description: string): ReturnType<typeof Type.Number> => Type.Number({ minimum: 0, maximum: 1, description });
const strides = Type.Array(Type.Integer({ minimum: 1, maximum: 1024 }), {
  minItems: 1,
  maxItems: 8,
  description: 'Cell sizes of the output grids in pixels, in the order of the output.',
});
const three = (description: string, minimum?: number): ReturnType<typeof Type.Tuple<[Type.TNumber, Type.TNumber, Type.TNumber]>> => {
  const number = minimum === undefined ? Type.Number() : Type.Number({ exclusiveMinimum: minimum });
  return Type.Tuple([number, number, number], { description });
};

const resizeSchema = Type.Union([
  Type.Object(
    {
      mode: Type.Literal('letterbox', { description: 'Aspect kept, the rest of the input filled.' }),
      anchor: Type.Union([Type.Literal('top_left'), Type.Literal('centre')]),
      pad_value: Type.Number({ minimum: 0, maximum: 255, description: 'Pixel value of the filling, before mean and std.' }),
    },
    strict,
  ),
  Type.Object({ mode: Type.Literal('stretch', { description: 'Pulled to the size of the input.' }) }, strict),
]);

const commonFields = {
  schema_version: Type.Literal(1),
  name: Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,63}$', description: 'Name to run it by; stands on every record.' }),
  version: Type.String({ minLength: 1, maxLength: 64 }),
  file: Type.String({ pattern: plainFileName, description: 'The ONNX file, beside this manifest or in a model directory.' }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Of the ONNX file.' }),
  task: Type.Literal('detection'),
  input: Type.Object(
    {
      name: Type.String({ minLength: 1, maxLength: 200 }),
      width_px: Type.Integer({ minimum: 16, maximum: 4096 }),
      height_px: Type.Integer({ minimum: 16, maximum: 4096 }),
      layout: Type.Literal('NCHW'),
      dtype: Type.Literal('float32'),
      channel_order: Type.Union([Type.Literal('RGB'), Type.Literal('BGR')]),
      mean: three('Taken from each pixel value (0..255), in channel order.'),
      std: three('The pixel value less mean is divided by this, in channel order.', 0),
      resize: resizeSchema,
    },
    strict,
  ),
  labels: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
      minItems: 1,
      maxItems: 10_000,
      uniqueItems: true,
      description: 'Class names, class 0 first. Either this or labels_file.',
    }),
  ),
  labels_file: Type.Optional(
    Type.String({ pattern: plainFileName, description: 'Text file with one class name a line, beside this manifest or the model.' }),
  ),
  thresholds: Type.Object(
    {
      score: fraction('Lowest score that an object is reported with.'),
      per_class: Type.Optional(Type.Record(Type.String(), fraction('The same for one class.'))),
      nms_iou: fraction('Boxes of one class that overlap by more are one object.'),
      max_objects: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'Most objects of one frame. Default 300.' })),
    },
    strict,
  ),
  precision: Type.Union([Type.Literal('FP32'), Type.Literal('FP16'), Type.Literal('INT8')]),
  licence: Type.String({ minLength: 1, maxLength: 200, description: 'SPDX name of the licence of the weights.' }),
  source: Type.String({ minLength: 1, maxLength: 1000, description: 'Where the file comes from.' }),
};

const familySchemas = {
  yolox: Type.Object({ ...commonFields, family: Type.Literal('yolox'), outputs: Type.Object({ strides }, strict) }, strict),
  picodet: Type.Object(
    {
      ...commonFields,
      family: Type.Literal('picodet'),
      outputs: Type.Object({ strides, reg_max: Type.Integer({ minimum: 1, maximum: 64 }) }, strict),
    },
    strict,
  ),
};

/** What models/manifest.schema.json publishes, so that editors complete and check a manifest. */
export const manifestJsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Sightline model manifest',
  anyOf: Object.values(familySchemas),
};

type ManifestFile = Static<(typeof familySchemas)['yolox']> | Static<(typeof familySchemas)['picodet']>;

const validators = { yolox: Compile(familySchemas.yolox), picodet: Compile(familySchemas.picodet) };
const families = Object.keys(familySchemas);

function isFamily(value: unknown): value is keyof typeof validators {
  return typeof value === 'string' && families.includes(value);
}

/** Reads the labels file of that name; throws where it is not there. */
export type ReadLabels = (fileName: string) => readonly string[];

/** Checks the text of a manifest; throws SIGHTLINE_MODEL_MANIFEST_INVALID with the name of the field that is wrong. */
export function parseManifest(text: string, what: string, readLabels: ReadLabels): ModelManifest {
  const file = checkShape(parseYaml(text, { what, code: 'SIGHTLINE_MODEL_MANIFEST_INVALID' }), what);
  const labels = readAllLabels(file, what, readLabels);
  const perClass = file.thresholds.per_class ?? {};
  for (const className of Object.keys(perClass)) {
    if (!labels.includes(className)) throw invalid(what, `thresholds.per_class.${className}`, 'is not one of the labels');
  }
  const common = {
    name: file.name,
    version: file.version,
    file: file.file,
    sha256: file.sha256,
    task: file.task,
    input: inputOf(file),
    labels,
    thresholds: {
      score: file.thresholds.score,
      perClass,
      nmsIou: file.thresholds.nms_iou,
      maxObjects: file.thresholds.max_objects ?? 300,
    },
    precision: file.precision,
    licence: file.licence,
    source: file.source,
  };
  switch (file.family) {
    case 'yolox':
      return { ...common, family: 'yolox', outputs: { strides: file.outputs.strides } };
    case 'picodet':
      return { ...common, family: 'picodet', outputs: { strides: file.outputs.strides, regMax: file.outputs.reg_max } };
  }
}

function checkShape(value: unknown, what: string): ManifestFile {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AppError('SIGHTLINE_MODEL_MANIFEST_INVALID', `${what} is not a model manifest: it holds no fields`);
  }
  // The family is looked at first: the fields of the others would only drown the message about the one that is wrong.
  const family: unknown = 'family' in value ? value.family : undefined;
  if (!isFamily(family)) throw invalid(what, 'family', `must be one of ${families.join(', ')}`);
  const validator = validators[family];
  if (validator.Check(value)) return value;
  throw firstProblem(what, validator.Errors(value));
}

interface SchemaProblem {
  readonly keyword: string;
  readonly schemaPath: string;
  readonly instancePath: string;
  readonly message: string;
  readonly params: object;
}

/** The first problem in words. Of a choice (anyOf) only the branch counts that the value names by its literal, such as `mode`. */
function firstProblem(what: string, problems: readonly SchemaProblem[]): AppError {
  const branchOf = (problem: SchemaProblem): string | undefined => /^.*\/anyOf\/\d+/.exec(problem.schemaPath)?.[0];
  const foreignBranches = new Set(problems.filter((problem) => problem.keyword === 'const').map(branchOf));
  foreignBranches.delete(undefined);
  for (const problem of problems) {
    // `boolean` only repeats an unknown field.
    if (problem.keyword === 'boolean' || foreignBranches.has(branchOf(problem))) continue;
    const { params } = problem;
    const path = (last: unknown): string =>
      [...problem.instancePath.split('/').slice(1), ...(typeof last === 'string' ? [last] : [])].join('.');
    if ('additionalProperties' in params && Array.isArray(params.additionalProperties)) {
      return invalid(what, path(params.additionalProperties[0]), 'is not a known field');
    }
    if ('requiredProperties' in params && Array.isArray(params.requiredProperties)) {
      return invalid(what, path(params.requiredProperties[0]), 'is missing');
    }
    if (problem.keyword !== 'anyOf' && problem.keyword !== 'const') return invalid(what, path(undefined), problem.message);
    const allowed = problems.flatMap((other) =>
      'allowedValue' in other.params && other.instancePath.startsWith(problem.instancePath) ? [String(other.params.allowedValue)] : [],
    );
    return invalid(what, path(undefined), `must be ${allowed.join(' or ')}`);
  }
  return new AppError('SIGHTLINE_MODEL_MANIFEST_INVALID', `${what} is not a valid model manifest`);
}

function readAllLabels(file: ManifestFile, what: string, readLabels: ReadLabels): readonly string[] {
  if (file.labels !== undefined && file.labels_file !== undefined) throw invalid(what, 'labels_file', 'stands beside labels; give one of them');
  if (file.labels !== undefined) return file.labels;
  if (file.labels_file === undefined) throw invalid(what, 'labels', 'is missing (or give labels_file)');
  const labels = readLabels(file.labels_file);
  if (labels.length === 0 || new Set(labels).size !== labels.length) {
    throw invalid(what, 'labels_file', 'holds no labels, or one of them twice');
  }
  return labels;
}

function inputOf(file: ManifestFile): ModelManifest['input'] {
  const { input } = file;
  return {
    name: input.name,
    widthPx: input.width_px,
    heightPx: input.height_px,
    channelOrder: input.channel_order,
    mean: input.mean,
    std: input.std,
    resize:
      input.resize.mode === 'letterbox'
        ? { mode: 'letterbox', anchor: input.resize.anchor, padValue: input.resize.pad_value }
        : { mode: 'stretch' },
  };
}

function invalid(what: string, field: string, reason: string): AppError {
  return new AppError('SIGHTLINE_MODEL_MANIFEST_INVALID', `${what}: ${field} ${reason}`);
}
