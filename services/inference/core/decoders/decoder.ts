import { AppError } from '#shared/core/errors';
import type { CandidateList } from '../detections.ts';
import type { ModelManifest, ScoreRules } from '../model.ts';

export interface OutputTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

export type OutputTensors = Readonly<Record<string, OutputTensor>>;

/** Turns the outputs of one run into boxes. Made once per session, so what can be worked out before the first frame is. */
export type Decode = (outputs: OutputTensors, candidates: CandidateList) => void;

/**
 * A family of models. `createDecoder` gets the shapes that a real run had (what a file declares is sometimes wrong) and throws
 * SIGHTLINE_MODEL_SHAPE_MISMATCH where they do not fit the manifest.
 */
export type CreateDecoder<Family extends ModelManifest['family']> = (
  manifest: Extract<ModelManifest, { family: Family }>,
  shapes: Readonly<Record<string, readonly number[]>>,
  rules: ScoreRules,
) => Decode;

export function shapeMismatch(
  manifest: ModelManifest,
  expected: string,
  shapes: Readonly<Record<string, readonly number[]>>,
): AppError {
  const found = Object.entries(shapes).map(([name, dims]) => `${name} [${dims.join(',')}]`);
  return new AppError(
    'SIGHTLINE_MODEL_SHAPE_MISMATCH',
    `model ${manifest.name}: family ${manifest.family} expects ${expected}, the file gives ${found.join(' ')}`,
  );
}

/** Name of the one output whose shape fits; undefined where none does, or several. */
export function outputOfShape(
  shapes: Readonly<Record<string, readonly number[]>>,
  fits: (dims: readonly number[], name: string) => boolean,
): string | undefined {
  const names = Object.keys(shapes).filter((name) => fits(shapes[name] ?? [], name));
  return names.length === 1 ? names[0] : undefined;
}

/** Adds a box given by its centre and size. */
export function pushCentred(
  candidates: CandidateList,
  box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
  score: number,
  classIndex: number,
): void {
  const { x, y, width, height } = box;
  candidates.push(x - width / 2, y - height / 2, x + width / 2, y + height / 2, score, classIndex);
}
