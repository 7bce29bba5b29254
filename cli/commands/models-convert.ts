import { existsSync } from 'node:fs';
import { extname, join } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { AppError } from '#shared/core/errors';
import { defaultMaxModelBytes, readWhole } from '../../services/inference/adapters/model-files/model-library.ts';
import { inspectOnnx } from '../../services/inference/core/onnx-inspector.ts';
import { stateDirectory } from '../model-directories.ts';
import { convertModel } from '../models/convert-model.ts';
import { pythonPackages } from '../models/python-tool.ts';
import { positiveWhole, share } from '../option-values.ts';

interface ConvertOptions {
  readonly opset?: number;
  readonly fp16?: true;
  readonly batch?: string;
  readonly mean?: string;
  readonly std?: string;
  readonly size?: string;
  readonly nms?: string;
  readonly strides?: string;
  readonly score?: number;
  readonly overlap?: number;
  readonly most?: number;
  readonly picture: readonly string[];
  readonly tolerance?: number;
  readonly python?: string;
  readonly stateDir?: string;
  readonly json?: true;
}

const about = `
FROM: .onnx · TorchScript (.pt, .pth, .torchscript) · .tflite · folder with a saved_model.pb (TensorFlow)     TO: .onnx · .tflite · .mlpackage (Core ML)
The outputs of both are compared on noise, and on each --picture. Where they differ by more than --tolerance nothing is written: SIGHTLINE_CONVERSION_REFUSED, exit code 1.
Core ML runs on macOS alone; elsewhere it is written and told to be SIGHTLINE_CONVERSION_UNCHECKED. With --mean and --std the new model takes pixels 0..255.
The first call of a route installs its Python packages into the state directory: 350 MB; TensorFlow 2 GB, Core ML 500 MB, PyTorch 4 GB.

Examples:
  $ sightline models convert yolox_nano.onnx out.onnx --opset 17 --batch dynamic
  $ sightline models convert yolox_nano.onnx out.onnx --nms yolox --picture street.jpg
  $ sightline models convert network.pt out.onnx --size 640x640
  $ sightline models convert network.tflite out.onnx
  $ sightline models convert yolox_nano.onnx out.tflite --fp16
`;

/** `sightline models convert`. */
export function registerModelsConvert(models: Command): void {
  models
    .command('convert')
    .description(
      'ONNX, TorchScript, TFLite or TensorFlow to ONNX, TFLite or Core ML: opset, half precision, batch, normalisation and suppression in the graph; outputs are compared',
    )
    .argument('<from>', 'file of the model, or folder of a SavedModel')
    .argument('<to>', 'file to write; its ending says what')
    .option('--opset <n>', 'of the ONNX file (default: as it is; from other frameworks 17)', positiveWhole)
    .option('--fp16', 'weights and arithmetic in half precision; inputs and outputs stay float32')
    .option('--batch <n|dynamic>', 'pictures that one run takes', batch)
    .option('--mean <r,g,b>', 'taken from each pixel value inside the graph, in channel order', threeNumbers)
    .option('--std <r,g,b>', 'divided by after that', threeNumbers)
    .option('--size <WIDTHxHEIGHT>', 'of the input, where the file does not say it (TorchScript never does)', size)
    .addOption(
      new Option('--nms <form>', 'decoding and suppression into the graph, for outputs of this form').choices([
        'yolox',
      ]),
    )
    .option('--strides <list>', 'of those outputs (default: 8,16,32)', wholeNumbers)
    .option('--score <share>', 'boxes below it are left out by the graph (default: 0.05)', share)
    .option('--overlap <share>', 'boxes of one class that overlap by more are one (default: 0.45)', share)
    .option('--most <n>', 'most boxes of one class (default: 100)', positiveWhole)
    .option('--picture <file>', 'compare on this one too; may be given again', collect, [])
    .option(
      '--tolerance <share>',
      'default: 0.001 of the largest value; with --fp16 0.03 of the deviation, in the mean square',
      share,
    )
    .option('--python <file>', 'a Python that has the packages, in place of installing them')
    .option('--state-dir <directory>', 'where the packages are kept')
    .option('--json', 'print one JSON object')
    .addHelpText('after', about)
    .action((from: string, to: string, options: ConvertOptions) => convert(from, to, options));
}

async function convert(from: string, to: string, options: ConvertOptions): Promise<void> {
  if ((options.mean === undefined) !== (options.std === undefined)) throw usage('--mean and --std go together');
  if (options.nms !== undefined && (options.batch ?? options.mean ?? options.fp16) !== undefined)
    throw usage('--nms goes alone', 'Convert in two steps: the rest first, then --nms.');
  const packages = packagesFor(from, to);
  if (!existsSync(from))
    throw usage(`there is no ${from}`, 'Give the path of a model file, or of the folder of a SavedModel.');
  // Damaged, too large, with parts outside the file: told before any other program reads it.
  if (extname(from) === '.onnx') inspectOnnx(await readWhole(from, defaultMaxModelBytes));
  const named = options.python ?? process.env['SIGHTLINE_PYTHON'];
  const { python: _python, stateDir, json, picture: pictures, ...rest } = options;
  const outcome = await convertModel({
    ...{ from, to, packages, pictures },
    flags: Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, String(value)])),
    python: {
      stateDir: stateDirectory(stateDir, process.env),
      python: named === undefined || named === '' ? undefined : named,
    },
    onLine: (text) => {
      if (json !== true) process.stdout.write(`${text}\n`);
    },
  });
  if (json === true) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  else if (outcome.code === 'SIGHTLINE_CONVERSION_UNCHECKED')
    process.stderr.write(`warning [${outcome.code}]: only macOS runs Core ML, so the outputs were not compared here\n`);
  if (outcome.refused === null) return;
  if (json !== true) throw new AppError('SIGHTLINE_CONVERSION_REFUSED', outcome.refused);
  process.exitCode = 1;
}

/** What each kind of file is read or written with, besides the tools' own packages; each is large, and none reads what another writes. */
const converters = [
  { packages: pythonPackages.training, handles: (file: string) => /\.(?:pt|pth|torchscript)$/i.test(file) },
  {
    packages: pythonPackages.tensorflow,
    handles: (file: string) => /\.tflite$/i.test(file) || existsSync(join(file, 'saved_model.pb')),
  },
  { packages: pythonPackages.coreml, handles: (file: string) => /\.mlpackage\/?$/i.test(file) },
] as const;

const written = ['.onnx', '.tflite', '.mlpackage'] as const;

function packagesFor(from: string, to: string) {
  if (!written.some((ending) => ending === extname(to)))
    throw usage(`${to} is none of what can be written`, `Give a file that ends in ${written.join(', ')}.`);
  const needed = converters.filter(({ handles }) => handles(from) || handles(to));
  if (needed.length > 1)
    throw usage(
      'no converter reads the one and writes the other',
      'Convert in two steps: first to a file that ends in .onnx, then from that one.',
    );
  return needed[0]?.packages ?? pythonPackages.tools;
}

function usage(message: string, action?: string): AppError {
  return new AppError('SIGHTLINE_USAGE', message, action === undefined ? {} : { action });
}

function collect(value: string, all: readonly string[]): readonly string[] {
  return [...all, value];
}

function batch(text: string): string {
  if (text === 'dynamic' || /^[1-9]\d{0,3}$/.test(text)) return text;
  throw new InvalidArgumentError('Give a whole number, 1 or above, or dynamic.');
}

function threeNumbers(text: string): string {
  const parts = text.split(',');
  if (parts.length === 3 && parts.every((part) => part.trim() !== '' && Number.isFinite(Number(part)))) return text;
  throw new InvalidArgumentError('Give three numbers with commas between, for example 123.7,116.3,103.5.');
}

function wholeNumbers(text: string): string {
  if (/^\d{1,4}(,\d{1,4})*$/.test(text)) return text;
  throw new InvalidArgumentError('Give whole numbers with commas between, for example 8,16,32.');
}

function size(text: string): string {
  if (/^\d{2,4}x\d{2,4}$/.test(text)) return text;
  throw new InvalidArgumentError('Give WIDTHxHEIGHT in pixels, for example 640x640.');
}
