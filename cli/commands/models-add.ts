import { stat } from 'node:fs/promises';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { AppError } from '#shared/core/errors';
import type { ModelFamily } from '../../services/inference/core/model.ts';
import { modelFamilies } from '../../services/inference/model-manifest.ts';
import { modelStoreDirectory } from '../model-directories.ts';
import { addModel, type AddedModel } from '../models/add-model.ts';
import { positiveWhole } from '../option-values.ts';

interface AddOptions {
  readonly family?: ModelFamily;
  readonly labels?: string;
  readonly name?: string;
  readonly modelVersion?: string;
  readonly size?: { readonly widthPx: number; readonly heightPx: number };
  readonly licence?: string;
  readonly image?: string;
  readonly stateDir?: string;
  readonly timeLimit: number;
  readonly memoryLimit: number;
  readonly json?: true;
}

/** `sightline models add`. */
export function registerModelsAdd(models: Command): void {
  models
    .command('add')
    .description('take an ONNX file of any known family: find out what it needs, try it, and keep it under a name')
    .argument('<file>', 'the .onnx file')
    .addOption(
      new Option('--family <family>', 'the form of its outputs, where it cannot be guessed').choices(modelFamilies),
    )
    .option(
      '--labels <file|a,b,c>',
      'its classes, class 0 first: a text file with one a line, or a list; of an embedding the classes that it is for',
    )
    .option('--name <name>', 'the name to run it by (default: from the file name)')
    .option('--model-version <version>', 'its version (default: the first 12 digits of its sha256)')
    .option('--size <size>', 'input size where the file leaves it open: WIDTHxHEIGHT or one number', parseSize)
    .option('--licence <name>', 'licence of the weights')
    .option('--image <file>', 'a picture to try it on; without one it is tried on grey')
    .option('--state-dir <directory>', 'where it is kept (models/ below it)')
    .option('--time-limit <seconds>', 'a model that takes longer to load and run is refused', positiveWhole, 60)
    .option('--memory-limit <MiB>', 'a model that takes more memory is refused', positiveWhole, 2048)
    .option('--json', 'print one JSON object')
    .action((file: string, options: AddOptions) => add(file, options));
}

async function add(file: string, options: AddOptions): Promise<void> {
  const { family, name, size, licence, image } = options;
  const labels = options.labels === undefined ? undefined : await readLabels(options.labels);
  const added = await addModel({
    file,
    directory: modelStoreDirectory({ stateDir: options.stateDir }, process.env),
    limits: { timeoutMs: options.timeLimit * 1000, maxMemoryBytes: options.memoryLimit * 1024 ** 2 },
    ...(family === undefined ? {} : { family }),
    ...(labels === undefined ? {} : { labels }),
    ...(name === undefined ? {} : { name }),
    ...(options.modelVersion === undefined ? {} : { version: options.modelVersion }),
    ...(size === undefined ? {} : { size }),
    ...(licence === undefined ? {} : { licence }),
    ...(image === undefined ? {} : { image: resolve(image) }),
  });
  process.stdout.write(options.json === true ? `${JSON.stringify(summary(added))}\n` : text(added));
}

function summary(added: AddedModel): Record<string, unknown> {
  const { manifest, manifestPath, isNew, findings, objects } = added;
  const { name, version, family, sha256 } = manifest;
  return { name, version, family, sha256, manifest: manifestPath, is_new: isNew, findings, objects };
}

function text({ manifest, manifestPath, isNew, findings, objects }: AddedModel): string {
  const found = findings.map(
    ({ what, value, certainty, because }) => `  ${what.padEnd(13)} ${value}  (${certainty}: ${because})\n`,
  );
  const counts = new Map<string, number>();
  for (const { class_name: name } of objects ?? []) counts.set(name, (counts.get(name) ?? 0) + 1);
  const seen = [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
  const isEmbedding = manifest.family === 'embedding';
  const trial =
    objects === null
      ? isEmbedding
        ? 'ran on a picture'
        : 'ran on a grey picture; --image FILE tries it on one of yours'
      : `on your picture it sees ${seen === '' ? 'nothing' : seen}`;
  return [
    ...found,
    `  ${'trial'.padEnd(13)} ${trial}\n`,
    `${isNew ? 'added' : 'was there already'}: ${manifest.name} ${manifest.version} in ${manifestPath}\n`,
    `run it: sightline run ${isEmbedding ? '--embedding-model' : '--model'} ${manifest.name}\n`,
  ].join('');
}

async function readLabels(given: string): Promise<readonly string[]> {
  const isFile = await stat(given).then(
    (facts) => facts.isFile(),
    () => false,
  );
  const lines = isFile ? (await readFile(given, 'utf8')).split(/\r?\n/) : given.split(',');
  const labels = lines.map((line) => line.trim()).filter((line) => line !== '');
  if (labels.length === 0) throw new AppError('SIGHTLINE_USAGE', `--labels ${given} names no class`);
  return labels;
}

function parseSize(text: string): { widthPx: number; heightPx: number } {
  const match = /^(\d{2,4})(?:x(\d{2,4}))?$/.exec(text);
  if (match === null) throw new InvalidArgumentError('Give WIDTHxHEIGHT in pixels, for example 640x384.');
  const widthPx = Number(match[1]);
  return { widthPx, heightPx: match[2] === undefined ? widthPx : Number(match[2]) };
}
