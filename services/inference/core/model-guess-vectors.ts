import { AppError } from '#shared/core/errors';
import type { GuessHints, ModelFacts, TensorFacts } from './model-facts.ts';

export interface VectorRule {
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

/**
 * A classifier, or undefined where the output is no vector. Throws with what is missing where it is an embedding, and with what to add where it
 * may be either.
 */
export function guessVector(
  facts: ModelFacts,
  hints: GuessHints,
  noted: readonly string[] | undefined,
): VectorRule | undefined {
  const [output, ...others] = facts.outputs;
  if (output === undefined || others.length > 0 || !isVector(output)) return undefined;
  const classes = Number(output.shape[1]);
  const classifier = (certainty: VectorRule['certainty'], because: string): VectorRule => ({
    certainty,
    because,
    classes,
  });
  if (output.sums === 'to-one') return classifier('certain', `one output of ${classes} shares that add up to 1`);
  if (hints.labels?.length === classes)
    return classifier('certain', `one output of ${classes} numbers, and as many labels`);
  if (noted?.length === classes)
    return classifier('certain', `one output of ${classes} numbers, and the file names as many classes`);
  const isNamed = embeddingWords.test(facts.fileName) || embeddingWords.test(output.name);
  if (output.sums === 'unit-length' || isNamed) throw embedding(classes);
  if (embeddingSizes.includes(classes)) {
    throw new AppError(
      'SIGHTLINE_MODEL_SHAPE_MISMATCH',
      `its one output of ${classes} numbers may be a score for each of ${classes} classes, or an embedding`,
      {
        action: `For a classifier name its classes: --labels FILE with ${classes} lines. Embeddings are not used: records have no field for them.`,
      },
    );
  }
  return classifier('likely', `one output of ${classes} numbers for the picture`);
}

function embedding(length: number): AppError {
  return new AppError(
    'SIGHTLINE_MODEL_SHAPE_MISMATCH',
    `the model makes an embedding of ${length} numbers (re-identification), which the pipeline has no place for`,
    {
      action:
        'Two things are missing: a field for embeddings in the records, and running a second model on the boxes of the first. A classifier is added with --family classification --labels FILE.',
    },
  );
}
