import { InvalidArgumentError, type Command } from 'commander';
import { AppError } from '#shared/core/errors';
import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { modelDirectories, modelKeyFile, modelStoreDirectory, stateDirectory } from '../model-directories.ts';
import { distilModel, leastGain } from '../models/distil/distil-model.ts';
import { outcomeRecord, outcomeText } from '../models/distil/distil-text.ts';
import { checkModelName } from '../models/model-name.ts';
import { makeWorkDirectory } from '../models/work-directory.ts';
import { positiveWhole, share } from '../option-values.ts';

interface LearningOptions {
  readonly clips: string;
  readonly out?: string;
  readonly size?: { readonly widthPx: number; readonly heightPx: number };
  readonly minutes: number;
  readonly fps: number;
  readonly maxFrames: number;
  readonly threads: number;
  readonly also?: string;
  readonly forget: number;
  readonly python?: string;
  readonly modelsDir?: string;
  readonly stateDir?: string;
  readonly json?: true;
}

interface DistilCommandOptions extends LearningOptions {
  readonly keep: number;
  readonly teacher: string;
  readonly student: string;
}

interface PruneCommandOptions extends LearningOptions {
  readonly model: string;
  readonly ratio: number;
  readonly teacher?: string;
  readonly gate: number;
}

const licences = `
The licence of the teacher must allow that another model learns from what it says; that of your clips, that you use them so.
The first call installs PyTorch (about 4 GB) into the state directory; --python or SIGHTLINE_PYTHON names a Python that has it already.
`;

const aboutDistil = `
A model that sees well (the teacher: any that Sightline runs) labels frames of your clips, a cheap one (the student) learns from them, and the last
part of each clip, which it did not learn from, says how close it came. What is not better than before is not kept: exit code 1.
${licences}
Examples:
  $ ffmpeg -rtsp_transport tcp -i rtsp://10.0.0.9/stream -t 1800 -c copy clips/door.mkv
  $ sightline models distil --teacher yolox-s --clips clips/ --out door-model
  $ sightline models shadow door-model@VERSION --reason "taught by yolox-s on the door"
`;

const aboutPrune = `
In each layer the channels whose filters weigh least (L1 norm, arXiv 1608.08710) go; what is left learns from the teacher on frames of your clips
what it lost, and the last part of each clip judges. What loses more than --gate or costs as much as before is not kept: exit code 1.
Networks with grouped convolutions or operators that are not known are refused: SIGHTLINE_MODEL_UNTRAINABLE.
${licences}
Example:
  $ sightline models prune --model sightline-nano --ratio 0.4 --teacher yolox-s --clips clips/ --out door-pruned
`;

/** `sightline models distil` and `prune`. */
export function registerModelsDistil(models: Command): void {
  const distil = models
    .command('distil')
    .description('a small model for your own cameras, taught by a big one on your clips, judged on what it did not see')
    .requiredOption('--teacher <model>', 'the one that labels: name, manifest or .onnx file')
    .requiredOption('--clips <directory|file>', 'clips of the cameras that it is for')
    .option('--student <model>', 'the one that learns: sightline-nano or another of family yolox', 'sightline-nano')
    .option('--out <name>', 'name of the new model (default: the name of the student with -distilled)')
    .option('--keep <share>', "of the student's own weights in the new model: forgets less", share, 0.7)
    .option('--size <WIDTHxHEIGHT>', "input of the new model, multiples of 32 (default: the student's)", parseSize);
  withLearningOptions(distil)
    .addHelpText('after', aboutDistil)
    .action((options: DistilCommandOptions) => {
      const name = options.out ?? `${options.student}-distilled`;
      return learn(options, { ...options, name, pruneRatio: null, mostLost: leastGain });
    });

  const prune = models
    .command('prune')
    .description('a model with fewer channels, that learns again on your clips what it lost by that')
    .requiredOption('--model <model>', 'name, manifest or .onnx file; of family yolox')
    .requiredOption('--clips <directory|file>', 'clips of the cameras that it is for')
    .option('--ratio <share>', 'how much of the channels of each layer goes', ratio, 0.3)
    .option('--teacher <model>', 'the one that labels (default: the model itself)')
    .option('--gate <share>', 'AP50 that may be lost (0.01 is a point)', share, 0.02)
    .option('--out <name>', 'name of the new model (default: the name of the old one with -pruned)');
  withLearningOptions(prune)
    .addHelpText('after', aboutPrune)
    .action((options: PruneCommandOptions) => {
      const { model: student, teacher = options.model, gate: mostLost } = options;
      const name = options.out ?? `${student}-pruned`;
      // What was left out is not there to be kept.
      return learn(options, { student, teacher, name, pruneRatio: options.ratio, mostLost, keep: 0 });
    });
}

function withLearningOptions(command: Command): Command {
  return command
    .option('--minutes <n>', 'how long it learns', positive, 10)
    .option('--fps <n>', 'frames a second to take from the clips', positive, 5)
    .option('--max-frames <n>', 'most frames to take, from all clips together', positiveWhole, 3000)
    .option('--threads <n>', 'processor cores to use', positiveWhole, 1)
    .option('--also <directory>', 'pictures of other places, so that it does not forget what the clips do not show')
    .option('--forget <share>', 'AP50 that may be lost on a part of those (0.01 is a point)', share, 0.05)
    .option('--python <file>', 'a Python that has PyTorch, onnx and OpenCV, in place of installing them')
    .option('--models-dir <directory>', 'look here first')
    .option('--state-dir <directory>', 'where models are kept (models/ below it)')
    .option('--json', 'print one JSON object');
}

interface Lesson {
  readonly teacher: string;
  readonly student: string;
  readonly name: string;
  readonly pruneRatio: number | null;
  readonly mostLost: number;
  readonly keep: number;
}

async function learn(options: LearningOptions, lesson: Lesson): Promise<void> {
  const { pruneRatio, mostLost, name, keep } = lesson;
  checkModelName(name, '--out');
  const directories = modelDirectories(options, process.env);
  const library = createModelLibrary({ directories, publicKeyFile: modelKeyFile(process.env) });
  const teacher = await library.load(lesson.teacher);
  const student = await library.load(lesson.student);
  const workDirectory = await makeWorkDirectory('distil');
  const isLive = process.stderr.isTTY && options.json !== true;
  if (options.json !== true) {
    process.stderr.write(
      `teacher ${teacher.manifest.name}, licence ${teacher.manifest.licence}: it must allow that another model learns from it\n`,
    );
  }
  const { clips, minutes, fps, maxFrames, threads } = options;
  const outcome = await distilModel({
    ...{ teacher, student, clips, workDirectory, name, pruneRatio, mostLost, keep, minutes, fps, maxFrames, threads },
    ...(options.size === undefined ? {} : { size: options.size }),
    ...{ also: options.also ?? null, mostForgotten: options.forget },
    python: {
      stateDir: stateDirectory(options.stateDir, process.env),
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

function positive(text: string): number {
  const value = Number(text);
  if (text === '' || !(value > 0 && value <= 10_000)) throw new InvalidArgumentError('Give a number above 0.');
  return value;
}

function ratio(text: string): number {
  const value = Number(text);
  if (text === '' || !(value > 0 && value <= 0.9)) throw new InvalidArgumentError('Give a share from 0 to 0.9.');
  return value;
}
