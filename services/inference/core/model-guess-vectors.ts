import { AppError } from '#shared/core/errors';
import type { GuessHints, ModelFacts, TensorFacts } from './model-facts.ts';

export interface VectorRule {
  readonly family: 'classification' | 'embedding';
  readonly certainty: 'certain' | 'likely';
  readonly because: string;
  readonly classes: number;
}

const embeddingWords = /re-?id|embed|osnet|arcface|facenet|sface|feature|descriptor/i;
const embeddingSizes: readonly number[] = [64, 96, 128, 256, 384, 512, 768, 1024, 2048];

/** One number a class for the whole picture, or the numbers of an embedding: both are one output [1, n]. */
export function isVector({ shape }: TensorFacts): boolean {
  return shape.length >= 2 && Number(shape[1]) > 1 && shape.slice(2).every((size) => Number(size) === 1);
}

/** A classifier or an embedding, or undefined where the output is no vector. Throws with what to add where it may be either. */
export function guessVector(
  facts: ModelFacts,
  hints: GuessHints,
  noted: readonly string[] | undefined,
): VectorRule | undefined {
  const [output, ...others] = facts.outputs;
  if (output === undefined || others.length > 0 || !isVector(output)) return undefined;
  const classes = Number(output.shape[1]);
  const rule =
    (family: VectorRule['family']) =>
    (certainty: VectorRule['certainty'], because: string): VectorRule => ({ family, certainty, because, classes });
  const [classifier, embedding] = [rule('classification'), rule('embedding')];
  if (output.sums === 'to-one') return classifier('certain', `one output of ${classes} shares that add up to 1`);
  if (hints.labels?.length === classes)
    return classifier('certain', `one output of ${classes} numbers, and as many labels`);
  if (noted?.length === classes)
    return classifier('certain', `one output of ${classes} numbers, and the file names as many classes`);
  if (output.sums === 'unit-length') return embedding('certain', `one output of ${classes} numbers of length 1`);
  if (embeddingWords.test(facts.fileName) || embeddingWords.test(output.name))
    return embedding('likely', `one output of ${classes} numbers, and the name of the file or the output`);
  if (embeddingSizes.includes(classes)) {
    throw new AppError(
      'SIGHTLINE_MODEL_SHAPE_MISMATCH',
      `its one output of ${classes} numbers may be a score for each of ${classes} classes, or an embedding`,
      {
        action: `For a classifier name its classes: --labels FILE with ${classes} lines. For an embedding (re-identification) say --family embedding.`,
      },
    );
  }
  return classifier('likely', `one output of ${classes} numbers for the picture`);
}

/** What an embedding is for, by the name of its file: classes as the detectors of COCO and of faces name them; null where it says nothing. */
export function describedClasses(fileName: string): readonly string[] | null {
  if (/face/i.test(fileName)) return ['face'];
  if (/vehicle|car(?![a-z])|veri\b/i.test(fileName)) return ['car', 'motorcycle', 'bus', 'truck'];
  return /person|people|pedestrian|re-?id|osnet|market|duke|msmt/i.test(fileName) ? ['person'] : null;
}
