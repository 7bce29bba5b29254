import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { AppError } from '#shared/core/errors';
import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { defaultStateDirectory, modelDirectories, modelKeyFile, modelStoreDirectory } from '../model-directories.ts';
import { distilModel } from '../models/distil/distil-model.ts';
import { outcomeRecord, outcomeText } from '../models/distil/distil-text.ts';

interface DistilCommandOptions {
  readonly teacher: string;
  readonly clips: string;
  readonly student: string;
  readonly out?: string;
  readonly size?: { readonly widthPx: number; readonly heightPx: number };
  readonly minutes: number;
  readonly fps: number;
  readonly maxFrames: number;
  readonly threads: number;
  readonly python?: string;
  readonly modelsDir?: string;
  readonly stateDir?: string;
  readonly json?: true;
}

const about = `
A model that sees well (the teacher: any that Sightline runs) labels frames of your clips, a cheap one (the student) learns from them, and the last
part of each clip, which it did not learn from, says how close it came. What is not better than before is not kept: exit code 1.

The licence of the teacher must allow that another model learns from what it says; that of your clips, that you use them so.
The first call installs PyTorch (about 4 GB) into the state directory; --python or SIGHTLINE_PYTHON names a Python that has it already.

Examples:
  $ ffmpeg -rtsp_transport tcp -i rtsp://10.0.0.9/stream -t 1800 -c copy clips/door.mkv
  $ sightline models distil --teacher yolox-s --clips clips/ --out door-model
  $ sightline models shadow door-model@VERSION --reason "taught by yolox-s on the door"
`;

/** `sightline models distil`. */
export function registerModelsDistil(models: Command): void {
  models
    .command('distil')
    .description('a small model for your own cameras, taught by a big one on your clips, judged on what it did not see')
    .requiredOption('--teacher <model>', 'the one that labels: name, manifest or .onnx file')
    .requiredOption('--clips <directory|file>', 'clips of the cameras that it is for')
    .option('--student <model>', 'the one that learns: sightline-nano or another of family yolox', 'sightline-nano')
    .option('--out <name>', 'name of the new model (default: the name of the student with -distilled)')
    .option('--size <WIDTHxHEIGHT>', "input of the new model, multiples of 32 (default: the student's)", parseSize)
    .option('--minutes <n>', 'how long it learns', minutes, 10)
    .option('--fps <n>', 'frames a second to take from the clips', minutes, 5)
    .option('--max-frames <n>', 'most frames to take, from all clips together', wholeNumber, 3000)
    .option('--threads <n>', 'processor cores to use', wholeNumber, 1)
    .option('--python <file>', 'a Python that has PyTorch, onnx and OpenCV, in place of installing them')
    .option('--models-dir <directory>', 'look here first')
    .option('--state-dir <directory>', 'where models are kept (models/ below it)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', about)
    .action((options: DistilCommandOptions) => distil(options));
}

async function distil(options: DistilCommandOptions): Promise<void> {
  const directories = modelDirectories(options, process.env);
  const library = createModelLibrary({ directories, publicKeyFile: modelKeyFile(process.env) });
  const teacher = await library.load(options.teacher);
  const student = await library.load(options.student);
  const workDirectory = await mkdtemp(join(tmpdir(), 'sightline-distil-'));
  // Ctrl-C in the middle leaves neither frames nor a tool that goes on: both hang on the end of the process.
  process.once('exit', () => {
    rmSync(workDirectory, { recursive: true, force: true });
  });
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  const isLive = process.stderr.isTTY && options.json !== true;
  if (options.json !== true) {
    process.stderr.write(
      `teacher ${teacher.manifest.name}, licence ${teacher.manifest.licence}: it must allow that another model learns from it\n`,
    );
  }
  const outcome = await distilModel({
    ...{ teacher, student, clips: options.clips, workDirectory },
    name: options.out ?? `${student.manifest.name}-distilled`,
    ...(options.size === undefined ? {} : { size: options.size }),
    ...{ minutes: options.minutes, fps: options.fps, maxFrames: options.maxFrames, threads: options.threads },
    pruneRatio: null,
    python: {
      stateDir: options.stateDir ?? defaultStateDirectory(process.env),
      python: options.python ?? nonEmpty(process.env['SIGHTLINE_PYTHON']),
    },
    storeDirectory: modelStoreDirectory(options, process.env),
    onStage: (text) => {
      if (options.json !== true) process.stderr.write(`${isLive ? '\r\u001B[K' : ''}${text}\n`);
    },
    onProgress: (text) => {
      if (isLive) process.stderr.write(`\r\u001B[K${text}`);
    },
  });
  if (isLive) process.stderr.write('\r\u001B[K');
  process.stdout.write(options.json === true ? `${JSON.stringify(outcomeRecord(outcome))}\n` : outcomeText(outcome));
  if (!outcome.verdict.isBetter)
    throw new AppError('SIGHTLINE_MODEL_NOT_BETTER', `not kept: ${outcome.verdict.reason}`);
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function parseSize(text: string): { widthPx: number; heightPx: number } {
  const [widthPx = 0, heightPx = 0] = (/^(\d{2,4})x(\d{2,4})$/.exec(text)?.slice(1) ?? []).map(Number);
  if (widthPx < 64 || heightPx < 64 || widthPx % 32 !== 0 || heightPx % 32 !== 0)
    throw new InvalidArgumentError('Give WIDTHxHEIGHT in pixels, multiples of 32, for example 256x160.');
  return { widthPx, heightPx };
}

function minutes(text: string): number {
  const value = Number(text);
  if (text === '' || !(value > 0 && value <= 10_000)) throw new InvalidArgumentError('Give a number above 0.');
  return value;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d{1,6}$/.test(text) || value === 0) throw new InvalidArgumentError('Give a whole number, 1 or above.');
  return value;
}
