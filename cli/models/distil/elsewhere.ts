import { join } from 'node:path';
import type { VerifiedModel } from '../../../services/inference/core/ports.ts';
import { findOnPictures, type Picture } from '../eval-model.ts';
import { unlabelledPictures } from '../pictures.ts';
import { silentLogger } from '../silent-logger.ts';
import type { SeenObject } from './seen-objects.ts';
import type { LabelledFrame } from './training-tool.ts';

/** Pictures of other places, so that a student does not forget what the clips do not show. */
export interface Elsewhere {
  readonly learned: readonly LabelledFrame[];
  readonly directory: string;
  /** Not learned from. */
  readonly heldOut: readonly Picture[];
  /** What is asked for on those. */
  readonly truth: readonly (readonly SeenObject[])[];
}

const mostPictures = 3000;
/** Three of ten judge. */
const isHeldOut = (index: number): boolean => index % 10 >= 7;

export interface ElsewhereOptions {
  readonly teacher: VerifiedModel;
  readonly student: VerifiedModel;
  readonly directory: string;
  /** Objects below it are noise to the student. */
  readonly learnedScore: number;
  readonly isReported: (object: SeenObject) => boolean;
  readonly onProgress: (done: number, total: number) => void;
}

export async function readElsewhere(options: ElsewhereOptions): Promise<Elsewhere> {
  const { teacher, student, directory, learnedScore, isReported, onProgress } = options;
  const pictures = await unlabelledPictures(directory, mostPictures);
  const { labels } = student.manifest;
  const seen = await objectsOn(teacher, directory, pictures, learnedScore, onProgress);
  const unknown = labels.filter((label) => !teacher.manifest.labels.includes(label));
  const own = unknown.length === 0 ? [] : await objectsOn(student, directory, pictures, learnedScore, onProgress);
  const known = pictures.map((_, index) => [
    ...(seen[index] ?? []).filter(({ className }) => labels.includes(className)),
    ...(own[index] ?? []).filter(({ className }) => unknown.includes(className)),
  ]);
  return {
    directory,
    learned: pictures.flatMap((picture, index) =>
      isHeldOut(index) ? [] : [labelledPicture(directory, picture, known[index] ?? [], labels)],
    ),
    heldOut: pictures.filter((_, index) => isHeldOut(index)),
    truth: known.filter((_, index) => isHeldOut(index)).map((objects) => objects.filter(isReported)),
  };
}

/** What a model sees on each of the pictures. */
export async function objectsOn(
  model: VerifiedModel,
  imagesDirectory: string,
  pictures: readonly Picture[],
  scoreFloor: number,
  onProgress: (done: number, total: number) => void,
): Promise<readonly (readonly SeenObject[])[]> {
  const found = await findOnPictures({
    model,
    imagesDirectory,
    pictures,
    scoreFloor,
    logger: silentLogger,
    onProgress,
  });
  const byPicture = new Map<number, SeenObject[]>(pictures.map(({ id }) => [id, []]));
  const sizes = new Map(pictures.map((picture) => [picture.id, picture]));
  for (const { imageId, className, box, score } of found) {
    const { width = 1, height = 1 } = sizes.get(imageId) ?? {};
    const [x, y, w, h] = box;
    byPicture.get(imageId)?.push({ className, score, box: [x / width, y / height, w / width, h / height] });
  }
  return pictures.map(({ id }) => byPicture.get(id) ?? []);
}

function labelledPicture(
  directory: string,
  { file_name: name, width, height }: Picture,
  objects: readonly SeenObject[],
  labels: readonly string[],
): LabelledFrame {
  return {
    file: join(directory, name),
    boxes: objects.map(({ className, score, box: [x, y, w, h] }) => [
      ...([x * width, y * height, w * width, h * height] as const),
      score,
      labels.indexOf(className),
    ]),
  };
}
