import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Static } from 'typebox';
import { checkSchema, type SettingsSchema } from '#shared/core/check-schema';
import { AppError } from '#shared/core/errors';
import { placeImage, toPictureBox } from '#shared/core/inference-geometry';
import type { Logger } from '#shared/core/logger';
import { systemClock } from '#shared/runtime/system-clock';
import { createWorkerThreadEngine } from '../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
import { detectionStride } from '../../services/inference/core/detections.ts';
import type { InferenceEngine, VerifiedModel } from '../../services/inference/core/ports.ts';
import { evaluateCoco, type ClassAccuracy, type FoundBox, type LabelledBox } from './coco-evaluation.ts';
import { picturePixels } from './picture-pixels.ts';

export interface EvalOptions {
  readonly model: VerifiedModel;
  readonly imagesDirectory: string;
  readonly annotationsFile: string;
  /** Boxes below it are not looked at; the measure wants nearly all of them. Null: what the model reports, by its manifest. */
  readonly scoreFloor: number | null;
  readonly nmsIou?: number;
  readonly logger: Logger;
  readonly onProgress: (done: number, total: number) => void;
}

const idSchema = { type: 'integer', minimum: 0 } as const satisfies SettingsSchema;
const annotationsSchema = {
  type: 'object',
  additionalProperties: true,
  required: ['images', 'annotations', 'categories'],
  properties: {
    images: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: true,
        required: ['id', 'file_name', 'width', 'height'],
        properties: { id: idSchema, file_name: { type: 'string' }, width: idSchema, height: idSchema },
      },
    },
    annotations: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: true,
        required: ['image_id', 'category_id', 'bbox'],
        properties: {
          image_id: idSchema,
          category_id: idSchema,
          bbox: { type: 'array', items: { type: 'number' }, minItems: 4, maxItems: 4 },
          iscrowd: { type: 'integer', minimum: 0, maximum: 1 },
        },
      },
    },
    categories: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: true,
        required: ['id', 'name'],
        properties: { id: idSchema, name: { type: 'string' } },
      },
    },
  },
} as const satisfies SettingsSchema;
type Annotations = Static<typeof annotationsSchema>;
export type Picture = Annotations['images'][number];

/** Accuracy by class on labelled pictures, over the way that frames of a camera take: the same scaling, engine and decoding. */
export async function evalModel(options: EvalOptions): Promise<ReadonlyMap<string, ClassAccuracy>> {
  const { labels } = options.model.manifest;
  const annotations = await readAnnotations(options.annotationsFile);
  const labelled = labelledBoxes(annotations, labels);
  const found = await findOnPictures({ ...options, pictures: annotations.images });
  return evaluateCoco(labelled, found, labels);
}

/** What a model finds on pictures of a folder. */
export async function findOnPictures(
  options: Omit<EvalOptions, 'annotationsFile'> & { readonly pictures: readonly Picture[] },
): Promise<readonly FoundBox[]> {
  const { model, logger, onProgress, scoreFloor, nmsIou, pictures } = options;
  const engine = createWorkerThreadEngine({
    model,
    clock: systemClock,
    logger,
    thresholds: { ...(scoreFloor === null ? {} : { score: scoreFloor }), ...(nmsIou === undefined ? {} : { nmsIou }) },
  });
  await engine.start();
  const found: FoundBox[] = [];
  try {
    let next = 0;
    let done = 0;
    // One picture more than there are workers is read ahead.
    const readers = Array.from({ length: engine.workers + 1 }, async () => {
      for (let picture = pictures[next++]; picture !== undefined; picture = pictures[next++]) {
        found.push(...(await findIn(engine, join(options.imagesDirectory, picture.file_name), picture)));
        onProgress(++done, pictures.length);
      }
    });
    await Promise.all(readers);
  } finally {
    await engine.close();
  }
  return found;
}

async function findIn(engine: InferenceEngine, file: string, picture: Picture): Promise<readonly FoundBox[]> {
  const { input, labels } = engine.manifest;
  const image = await picturePixels(file, { widthPx: picture.width, heightPx: picture.height }, input);
  const placed = placeImage({ widthPx: image.widthPx, heightPx: image.heightPx }, input);
  const outcome = await engine.detect(image, { deadlineMs: null });
  if (outcome.kind === 'expired') throw new AppError('SIGHTLINE_INTERNAL', 'a run without a deadline expired');
  const { boxes } = outcome;
  return Array.from({ length: boxes.length / detectionStride }, (_, index): readonly FoundBox[] => {
    const at = index * detectionStride;
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, score = 0, classId = 0] = boxes.subarray(at, at + detectionStride);
    const box = toPictureBox({ x1, y1, x2, y2 }, placed, null);
    if (box === null) return [];
    const { width, height } = picture;
    return [
      {
        imageId: picture.id,
        className: labels[classId] ?? String(classId),
        box: [box.x * width, box.y * height, box.width * width, box.height * height],
        score,
      },
    ];
  }).flat();
}

async function readAnnotations(file: string): Promise<Annotations> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new AppError('SIGHTLINE_USAGE', `${file} cannot be read as JSON`, {
      cause: error,
      action: "Give the labels of the pictures in COCO's JSON: images, annotations and categories.",
    });
  }
  const [problem] = checkSchema(annotationsSchema, value);
  if (problem !== undefined)
    throw new AppError('SIGHTLINE_USAGE', `${file} is not in COCO's form: ${problem.path.join('.')} ${problem.reason}`);
  return value as Annotations; // the line above checked it
}

function labelledBoxes(annotations: Annotations, labels: readonly string[]): readonly LabelledBox[] {
  const nameOf = new Map(annotations.categories.map(({ id, name }) => [id, name]));
  const known = annotations.categories.filter(({ name }) => labels.includes(name));
  if (known.length === 0) {
    throw new AppError('SIGHTLINE_USAGE', `the model has none of the classes that are labelled`, {
      action: 'Name the classes of the model as the labels do: `sightline models add --labels …`.',
    });
  }
  return annotations.annotations.map(({ image_id: imageId, category_id: category, bbox, iscrowd }) => {
    const [x = 0, y = 0, width = 0, height = 0] = bbox;
    const className = nameOf.get(category) ?? String(category);
    return { imageId, className, box: [x, y, width, height], isCrowd: iscrowd === 1 };
  });
}
