import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '#shared/core/errors';
import type { ModelManifest } from '../../../services/inference/core/model.ts';
import { withInputShape } from '../../../services/inference/core/model-shape.ts';
import type { VerifiedModel } from '../../../services/inference/core/ports.ts';
import { evaluateCoco, type ClassAccuracy } from '../coco-evaluation.ts';
import { measureCosts } from '../distil/judged-model.ts';
import { evalModel, findOnPictures, type Picture } from '../eval-model.ts';
import type { PythonSource } from '../python-tool.ts';
import { silentLogger } from '../silent-logger.ts';
import { makeInt8Forms } from './int8-tool.ts';
import { findPictures, unlabelledPictures, writeInputs } from '../pictures.ts';

export interface QuantiseOptions {
  readonly model: VerifiedModel;
  readonly name: string;
  /** A clip or a folder of pictures like those of the cameras. */
  readonly calibration: string;
  readonly mostCalibration: number;
  readonly images: string;
  /** Null: what the float model reports on the pictures is what is asked for. */
  readonly annotations: string | null;
  /** Judged are these only; undefined: all that are labelled and that the model knows. */
  readonly classes?: ReadonlySet<string>;
  /** AP50 that may be lost. */
  readonly gate: number;
  readonly benchRounds: number;
  readonly python: PythonSource;
  readonly workDirectory: string;
  readonly onStage: (text: string) => void;
  readonly onProgress: (text: string) => void;
}

export interface QuantisedRow {
  readonly role: 'before' | 'after';
  readonly name: string;
  readonly ap: number;
  readonly ap50: number;
  readonly classes: ReadonlyMap<string, ClassAccuracy>;
  readonly cpuMs: number;
  readonly memoryMiB: number;
  readonly sizeKiB: number;
}

export interface QuantiseOutcome {
  readonly rows: readonly [QuantisedRow, QuantisedRow];
  readonly convolutions: number;
  readonly inFloat: number;
  /** AP50 of each form that was tried, by how many convolutions stayed in float. */
  readonly tried: readonly { readonly inFloat: number; readonly ap50: number }[];
  readonly made: VerifiedModel;
  /** Null where it is worth keeping. */
  readonly refusal: string | null;
}

/** Shares of the convolutions left in float where all of them in int8 lose too much, tried in this order. */
const floatShares = [0.06, 0.12, 0.25, 0.4, 0.6] as const;
/** Less than a twentieth is within what a machine varies by. */
const mostCost = 0.95;
const judgedScore = 0.01;
/** For judging without labels: what a second model would be held to, as `models eval` does it by default. */
const mostUnlabelled = 200;

/** The int8 form of a model that loses no more than the gate allows, with as few convolutions in float as that takes, and what it gains here. */
export async function quantiseModel(options: QuantiseOptions): Promise<QuantiseOutcome> {
  const { model, workDirectory, gate, onStage, onProgress } = options;
  checkIsFit(model.manifest);
  const pictures = await findPictures(options.calibration, options.mostCalibration, workDirectory);
  onStage(`${pictures.length} pictures to calibrate on`);
  const source = join(workDirectory, 'float.onnx');
  await writeFile(source, model.bytes);
  const common = {
    ...{ manifest: model.manifest, source, workDirectory, python: options.python },
    // All of one size, whatever shape pictures are run in later.
    calibration: await writeInputs(pictures, withInputShape(model.manifest, 'fixed').input, workDirectory),
    onProgress: (done: number, total: number) => onProgress(`convolution ${done} of ${total}`),
  };
  const judge = await judgeOf(options);
  const before = await judge(model);
  onStage(`before: AP50 ${before.ap50.toFixed(4)}`);
  const tried: { inFloat: number; ap50: number }[] = [];
  let best:
    { readonly made: VerifiedModel; readonly after: Accuracy; inFloat: number; convolutions: number } | undefined;
  for (const shares of [[0], floatShares]) {
    if (shares.length > 1) onStage('which convolutions move the scores most, one after the other');
    for (const { bytes, inFloat, convolutions } of await makeInt8Forms({ ...common, floatShares: shares })) {
      const made = asInt8(options, bytes);
      const after = await judge(made);
      tried.push({ inFloat, ap50: after.ap50 });
      onStage(`${inFloat} of ${convolutions} convolutions in float: AP50 ${after.ap50.toFixed(4)}`);
      if (best === undefined || after.ap50 > best.after.ap50) best = { made, after, inFloat, convolutions };
      if (after.ap50 >= before.ap50 - gate)
        return finish(options, before, { made, after, inFloat, convolutions }, tried);
    }
  }
  if (best === undefined) throw new Error('one form at least was made');
  return finish(options, before, best, tried);
}

interface Accuracy {
  readonly ap: number;
  readonly ap50: number;
  readonly classes: ReadonlyMap<string, ClassAccuracy>;
}

function checkIsFit({ name, family, input }: ModelManifest): void {
  const refuse = (reason: string): never => {
    throw new AppError('SIGHTLINE_MODEL_UNQUANTISABLE', `${name}: ${reason}`);
  };
  if (family === 'classification')
    refuse('it gives classes of the whole picture, and what would be lost is measured on boxes');
  if (input.layout !== 'NCHW' || input.dtype !== 'float32')
    refuse(`its input is ${input.layout} ${input.dtype}; only NCHW float32 can be calibrated`);
}

async function judgeOf(options: QuantiseOptions): Promise<(model: VerifiedModel) => Promise<Accuracy>> {
  const { annotations, images, classes, onProgress } = options;
  const common = {
    ...{ imagesDirectory: images, logger: silentLogger },
    onProgress: (done: number, total: number) => onProgress(`${done} of ${total} pictures`),
  };
  const mean = (all: ReadonlyMap<string, ClassAccuracy>): Accuracy => {
    const judged = new Map([...all].filter(([name]) => classes?.has(name) ?? true));
    if (judged.size === 0)
      throw new AppError('SIGHTLINE_USAGE', 'there is no object to judge by', {
        action: 'Give pictures that show what the model finds, and name classes (--classes) that it knows.',
      });
    const of = (key: 'ap' | 'ap50'): number =>
      [...judged.values()].reduce((sum, each) => sum + each[key], 0) / judged.size;
    return { ap: of('ap'), ap50: of('ap50'), classes: judged };
  };
  if (annotations !== null) {
    return async (model) =>
      mean(await evalModel({ ...common, model, annotationsFile: annotations, scoreFloor: judgedScore }));
  }
  const pictures: readonly Picture[] = await unlabelledPictures(images, mostUnlabelled);
  const reported = await findOnPictures({ ...common, model: options.model, pictures, scoreFloor: null });
  const truth = reported.map((box) => ({ ...box, isCrowd: false }));
  const labels = [...new Set(truth.map(({ className }) => className))];
  return async (model) =>
    mean(evaluateCoco(truth, await findOnPictures({ ...common, model, pictures, scoreFloor: judgedScore }), labels));
}

function asInt8({ model, name }: QuantiseOptions, bytes: Uint8Array<ArrayBuffer>): VerifiedModel {
  const digest = createHash('sha256').update(bytes).digest('hex');
  const { manifest } = model;
  return {
    ...{ digest, bytes },
    manifest: {
      ...manifest,
      ...{ name, file: 'model.onnx', sha256: digest, precision: 'INT8' },
      version: digest.slice(0, 12),
      source: `int8 by sightline from ${manifest.name} ${manifest.version}, sha256 ${manifest.sha256}`,
    },
  };
}

async function finish(
  options: QuantiseOptions,
  before: Accuracy,
  {
    made,
    after,
    inFloat,
    convolutions,
  }: { made: VerifiedModel; after: Accuracy; inFloat: number; convolutions: number },
  tried: QuantiseOutcome['tried'],
): Promise<QuantiseOutcome> {
  options.onStage('measuring speed, the two in turn');
  const [cost, int8Cost] = await measureCosts([options.model, made], options.benchRounds);
  if (cost === undefined || int8Cost === undefined) throw new Error('both models were measured');
  return {
    rows: [
      { role: 'before', name: options.model.manifest.name, ...before, ...cost },
      { role: 'after', name: made.manifest.name, ...after, ...int8Cost },
    ],
    ...{ convolutions, inFloat, tried, made },
    refusal: refusalOf(before.ap50 - after.ap50, int8Cost.cpuMs / cost.cpuMs, options.gate),
  };
}

/** Why a form is not kept; null where it is. */
export function refusalOf(lost: number, costRatio: number, gate: number): string | null {
  // Written so that what is no number is refused.
  if (!(lost <= gate)) return `AP50 falls by ${lost.toFixed(4)}, the gate allows ${gate}`;
  if (!(costRatio <= mostCost))
    return `it takes ${costRatio.toFixed(2)} of the CPU time on this machine, so it would only be less exact`;
  return null;
}
