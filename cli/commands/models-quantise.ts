import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { AppError } from '#shared/core/errors';
import { formatYaml } from '#shared/runtime/load-yaml';
import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { storeModel } from '../../services/inference/adapters/model-files/model-store.ts';
import type { VerifiedModel } from '../../services/inference/core/ports.ts';
import { modelDirectories, modelKeyFile, modelStoreDirectory, stateDirectory } from '../model-directories.ts';
import { checkModelName } from '../models/model-name.ts';
import { quantiseModel } from '../models/quantise/quantise-model.ts';
import { quantisedRecord, quantisedText } from '../models/quantise/quantise-text.ts';
import { makeWorkDirectory } from '../models/work-directory.ts';
import { writtenManifest } from '../models/written-manifest.ts';
import { positiveWhole, share } from '../option-values.ts';

interface QuantiseCommandOptions {
  readonly model: string;
  readonly calibration: string;
  readonly images: string;
  readonly annotations?: string;
  readonly frames: number;
  readonly gate: number;
  readonly rounds: number;
  readonly classes?: string;
  readonly name?: string;
  readonly out?: string;
  readonly python?: string;
  readonly modelsDir?: string;
  readonly stateDir?: string;
  readonly json?: true;
}

const about = `
Convolutions become int8, one scale for each channel of the weights, ranges from the calibration pictures. Where AP50 falls by more than --gate, those that move the
scores most stay in float, until the gate holds. It is kept if it holds and takes at most 0.95 of the CPU time on this machine; else exit code 1, after the table.
Without --annotations the boxes that the float model reports on --images are what is asked for.
The first call installs Python packages (about 350 MB) into the state directory; --python or SIGHTLINE_PYTHON names a Python that has them.

Examples:
  $ sightline models quantise --model yolox-nano --calibration clips/door.mkv --images val/ --annotations val.json
  $ sightline models quantise --model yunet --calibration faces/ --images other-faces/
`;

/** `sightline models quantise`. */
export function registerModelsQuantise(models: Command): void {
  models
    .command('quantise')
    .description('int8 form of a model, kept only if it is as good and faster on this machine')
    .requiredOption('--model <model>', 'name, manifest or .onnx file')
    .requiredOption('--calibration <file|directory>', 'a clip or a folder of pictures like those of the cameras')
    .requiredOption('--images <directory>', 'pictures to judge on; none of them should be among those for calibration')
    .option('--annotations <file>', "their labels in COCO's JSON (default: what the float model reports)")
    .option('--frames <n>', 'most pictures to calibrate on', positiveWhole, 64)
    .option('--gate <share>', 'AP50 that may be lost (0.01 is a point)', share, 0.01)
    .option('--classes <names>', 'judge these only, with commas between')
    .option('--rounds <n>', 'rounds in which CPU time is measured', positiveWhole, 5)
    .option('--name <name>', 'of the int8 model (default: the name of the model with -int8)')
    .option('--out <directory>', 'write model and manifest there (default: among the models of this machine)')
    .option('--python <file>', 'a Python that has onnx, onnxruntime and numpy, in place of installing them')
    .option('--models-dir <directory>', 'look here first')
    .option('--state-dir <directory>', 'where models are kept (models/ below it)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', about)
    .action((options: QuantiseCommandOptions) => quantise(options));
}

async function quantise(options: QuantiseCommandOptions): Promise<void> {
  const library = createModelLibrary({
    directories: modelDirectories(options, process.env),
    publicKeyFile: modelKeyFile(process.env),
  });
  const model = await library.load(options.model);
  const name = options.name ?? `${model.manifest.name}-int8`.slice(0, 64);
  checkModelName(name, '--name');
  const workDirectory = await makeWorkDirectory('quantise');
  const isLive = process.stderr.isTTY && options.json !== true;
  const python = options.python ?? process.env['SIGHTLINE_PYTHON'];
  const classes = options.classes?.split(',').map((one) => one.trim());
  const outcome = await quantiseModel({
    ...{ model, name, workDirectory, calibration: options.calibration, mostCalibration: options.frames },
    ...{ images: options.images, annotations: options.annotations ?? null, gate: options.gate },
    ...(classes === undefined ? {} : { classes: new Set(classes) }),
    benchRounds: options.rounds,
    python: {
      stateDir: stateDirectory(options.stateDir, process.env),
      python: python === undefined || python === '' ? undefined : python,
    },
    onStage: (text) => {
      if (options.json !== true) process.stderr.write(`${isLive ? '\r\x1b[K' : ''}${text}\n`);
    },
    onProgress: (text) => {
      if (isLive) process.stderr.write(`\r\x1b[K${text}`);
    },
  });
  const kept = outcome.refusal === null ? await keep(options, outcome.made) : null;
  if (isLive) process.stderr.write('\r\x1b[K');
  process.stdout.write(
    options.json === true ? `${JSON.stringify(quantisedRecord(outcome, kept))}\n` : quantisedText(outcome, kept),
  );
  if (outcome.refusal === null) return;
  if (options.json === true) process.exitCode = 1;
  else
    throw new AppError('SIGHTLINE_MODEL_NOT_BETTER', outcome.refusal, {
      action:
        'Calibrate on more pictures like those of your cameras (--frames), or go on with the float model: on processors without VNNI int8 gains little.',
    });
}

/** Path of the manifest. */
async function keep(options: QuantiseCommandOptions, made: VerifiedModel): Promise<string> {
  const { name, version } = made.manifest;
  if (options.out === undefined) {
    const manifest = writtenManifest(made.manifest);
    const stored = await storeModel(modelStoreDirectory(options, process.env), { manifest, name, version }, made.bytes);
    return stored.manifestPath;
  }
  const directory = resolve(options.out);
  await mkdir(directory, { recursive: true });
  const file = `${name}.onnx`;
  await writeFile(join(directory, file), made.bytes);
  const manifestPath = join(directory, `${name}.yaml`);
  await writeFile(manifestPath, formatYaml(writtenManifest({ ...made.manifest, file })));
  return manifestPath;
}
