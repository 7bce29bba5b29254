import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '#shared/core/errors';
import type { ModelManifest } from '../../../services/inference/core/model.ts';
import { pythonPackages, runReportingTool, type PythonSource } from '../python-tool.ts';

export interface Int8Form {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly inFloat: number;
  readonly convolutions: number;
}

interface Int8Job {
  readonly manifest: ModelManifest;
  /** File of the float model. */
  readonly source: string;
  /** Files of inputs, as they are given to the model. */
  readonly calibration: readonly string[];
  /** Of the convolutions; one form for each. Any but 0 has the convolutions tried one by one, which takes a minute or two. */
  readonly floatShares: readonly number[];
  readonly workDirectory: string;
  readonly python: PythonSource;
  readonly onProgress: (done: number, total: number) => void;
}

/** Has models/tools/quantise.py make forms of a model; this process only hands over files. */
export async function makeInt8Forms(job: Int8Job): Promise<readonly Int8Form[]> {
  const { manifest, workDirectory } = job;
  const { name, widthPx, heightPx } = manifest.input;
  const jobFile = join(workDirectory, 'job.json');
  const written = {
    model: job.source,
    input: { name, shape: [1, 3, heightPx, widthPx] },
    calibration: job.calibration,
    float_shares: job.floatShares,
    scores: scoresIn(manifest),
    out: workDirectory,
  };
  await writeFile(jobFile, JSON.stringify(written));
  const made: Extract<Report, { kind: 'made' }>[] = [];
  let refusal: string | undefined;
  const exitCode = await runReportingTool(job.python, pythonPackages.tools, 'quantise', [jobFile], (said) => {
    const report = said as Report; // our own tool of the same version wrote it
    if (report.kind === 'progress') job.onProgress(report.done, report.total);
    if (report.kind === 'made') made.push(report);
    if (report.kind === 'refused') refusal = report.reason;
  });
  if (refusal !== undefined) throw new AppError('SIGHTLINE_MODEL_UNQUANTISABLE', `${manifest.name}: ${refusal}`);
  if (exitCode !== 0 || made.length !== job.floatShares.length)
    throw new AppError('SIGHTLINE_PYTHON_TOOL_FAILED', `quantisation ended with exit code ${exitCode}`);
  return Promise.all(
    made.map(async ({ file, in_float: inFloat, convolutions }) => ({
      ...{ bytes: new Uint8Array(await readFile(file)), inFloat, convolutions },
    })),
  );
}

/** Where the scores stand in what a family puts out: outputs with so many columns, and parts of an axis of them. */
interface ScorePlaces {
  readonly last?: number;
  readonly axis?: number;
  readonly ranges?: readonly (readonly [number, number | null])[];
}

function scoresIn({ family, labels }: ModelManifest): ScorePlaces {
  switch (family) {
    case 'yolox':
    case 'yolov5':
      return { axis: -1, ranges: [[4, null]] };
    case 'yolov8':
      return { axis: 1, ranges: [[4, null]] };
    case 'yolov8_pose':
      return { axis: 1, ranges: [[4, 4 + labels.length]] };
    case 'nanodet':
      return { axis: -1, ranges: [[0, labels.length]] };
    case 'picodet':
      return { last: labels.length };
    case 'fastestdet':
      return {
        axis: 1,
        ranges: [
          [0, 1],
          [5, null],
        ],
      };
    case 'ultraface':
      return { last: 2 };
    case 'yunet':
      return { last: 1 };
    // Boxes and scores in forms of their own: all of it counts.
    case 'yolo_nms':
    case 'rtdetr':
    case 'ssd':
    case 'classification':
    case 'embedding':
      return {};
  }
}

type Report =
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'made'; readonly file: string; readonly in_float: number; readonly convolutions: number };
