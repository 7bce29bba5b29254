import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '#shared/core/errors';
import type { ModelManifest } from '../../../services/inference/core/model.ts';
import type { VerifiedModel } from '../../../services/inference/core/ports.ts';
import { pythonPackages, runReportingTool, type PythonSource } from '../python-tool.ts';

/** Learning rate that took every student tried from 0.1 to 10 minutes; the network's filters have length one while it learns. */
const learningRate = 1e-3;

export interface LabelledFrame {
  readonly file: string;
  /** Left, top, width, height in pixels of the file, score, number of the class among the student's labels. */
  readonly boxes: readonly (readonly [number, number, number, number, number, number])[];
}

export interface TrainingOptions {
  readonly student: VerifiedModel;
  readonly input: { readonly widthPx: number; readonly heightPx: number };
  readonly frames: readonly LabelledFrame[];
  /** Of other places, so that what the frames do not show is not forgotten: half of what is drawn, where there are any. */
  readonly also: readonly LabelledFrame[];
  readonly minutes: number;
  readonly maxSteps: number;
  readonly threads: number;
  /** Share of the channels to leave out before it learns; null leaves the network as it is. */
  readonly pruneRatio: number | null;
  /** Share of the weights that it begins with in those that come out. */
  readonly keep: number;
  readonly workDirectory: string;
  readonly python: PythonSource;
  readonly onProgress: (share: number, step: number, loss: number) => void;
}

export interface TrainedModel {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly steps: number;
  readonly weights: number;
}

/** The networks that the tool trains: its own words for what else it meets come back as the refusal. */
export function trainableStrides(manifest: ModelManifest): readonly number[] {
  const { input } = manifest;
  const isFitting =
    manifest.family === 'yolox' &&
    input.layout === 'NCHW' &&
    input.dtype === 'float32' &&
    input.resize.mode === 'letterbox' &&
    input.resize.anchor === 'top_left';
  if (isFitting) return manifest.outputs.strides;
  throw new AppError(
    'SIGHTLINE_MODEL_UNTRAINABLE',
    `${manifest.name} (${manifest.family}) cannot learn here: only models of family yolox with a letterbox at the top left can`,
  );
}

/** Has models/tools/finetune.py train; this process only hands over files. */
export async function train(options: TrainingOptions): Promise<TrainedModel> {
  const { student, input, workDirectory } = options;
  const { resize, channelOrder, mean, std } = student.manifest.input;
  const source = join(workDirectory, 'student.onnx');
  const out = join(workDirectory, 'trained.onnx');
  const jobFile = join(workDirectory, 'job.json');
  await writeFile(source, student.bytes);
  const job = {
    model: source,
    out,
    input: {
      width_px: input.widthPx,
      height_px: input.heightPx,
      channel_order: channelOrder,
      mean,
      std,
      pad_value: resize.mode === 'letterbox' ? resize.padValue : 0,
    },
    strides: trainableStrides(student.manifest),
    frames: options.frames,
    also: options.also,
    minutes: options.minutes,
    max_steps: options.maxSteps,
    lr: learningRate,
    threads: options.threads,
    seed: 1,
    bfloat16: true,
    prune: options.pruneRatio,
    keep: options.keep,
  };
  await writeFile(jobFile, JSON.stringify(job));
  const said: Report[] = [];
  const exitCode = await runReportingTool(options.python, pythonPackages.training, 'finetune', [jobFile], (line) => {
    const report = line as Report; // our own tool of the same version wrote it
    if (report.kind === 'progress') options.onProgress(report.share, report.step, report.loss);
    else said.push(report);
  });
  const last = said.at(-1);
  if (last?.kind === 'refused') throw new AppError('SIGHTLINE_MODEL_UNTRAINABLE', last.reason);
  if (exitCode !== 0 || last?.kind !== 'made')
    throw new AppError('SIGHTLINE_PYTHON_TOOL_FAILED', `the training ended with exit code ${exitCode}`);
  const { steps, weights } = last;
  return { bytes: new Uint8Array(await readFile(out)), steps, weights };
}

type Report =
  | { readonly kind: 'progress'; readonly share: number; readonly step: number; readonly loss: number }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'made'; readonly steps: number; readonly weights: number };
