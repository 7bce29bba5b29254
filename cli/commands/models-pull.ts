import { InvalidArgumentError, type Command } from 'commander';
import { textTable } from '../results/text-table.ts';
import { modelStoreDirectory } from '../model-directories.ts';
import { modelCatalogue, type CatalogueModel } from '../models/model-catalogue.ts';
import { pullModel } from '../models/pull-model.ts';

interface PullOptions {
  readonly from?: string;
  readonly mirror?: string;
  readonly stateDir?: string;
  readonly patience?: number;
  readonly json?: true;
}

/** `sightline models pull`. */
export function registerModelsPull(models: Command): void {
  models
    .command('pull')
    .description('fetch a well-known model from its official release, check its sha256, and keep it')
    .argument('<name>', 'which one; `list` shows them all')
    .option('--from <file>', 'take this file instead of fetching it: for machines without the internet')
    .option('--mirror <url>', 'fetch from here, where the files lie under their own names (or SIGHTLINE_MODEL_MIRROR)')
    .option(
      '--patience <seconds>',
      'give up when nothing came for so long (default: 3 for the first byte, then 20)',
      seconds,
    )
    .option('--state-dir <directory>', 'where it is kept (models/ below it)')
    .option('--json', 'print JSON')
    .action((name: string, options: PullOptions) => (name === 'list' ? list(options) : pull(name, options)));
}

function list(options: PullOptions): void {
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(modelCatalogue.map(({ labels: _, ...model }) => model))}\n`);
    return;
  }
  const column = (title: string, text: (model: CatalogueModel) => string) => ({ title, align: 'left' as const, text });
  process.stdout.write(
    textTable(
      [
        column('name', (model) => model.name),
        column('version', (model) => model.version),
        column('size', (model) => megabytes(model.sizeBytes)),
        column('licence', (model) => model.licence),
        column('what', (model) => model.about),
        column('from', (model) => new URL(model.url).pathname.split('/').slice(1, 3).join('/')),
      ],
      modelCatalogue,
    ),
  );
}

async function pull(name: string, options: PullOptions): Promise<void> {
  const mirror = options.mirror ?? process.env['SIGHTLINE_MODEL_MIRROR'];
  const isShown = process.stderr.isTTY && options.json !== true;
  const { manifest, manifestPath, isNew } = await pullModel({
    name,
    directory: modelStoreDirectory({ stateDir: options.stateDir }, process.env),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(options.patience === undefined ? {} : { patienceMs: options.patience * 1000 }),
    ...(mirror === undefined || mirror === '' ? {} : { mirror }),
    onProgress: (received, size) => {
      if (isShown) process.stderr.write(`\r${name}: ${megabytes(received)} of ${megabytes(size)}   `);
    },
  });
  if (isShown) process.stderr.write('\n');
  const { version, sha256, licence } = manifest;
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ name: manifest.name, version, sha256, licence, manifest: manifestPath, is_new: isNew })}\n`
      : `${isNew ? 'fetched' : 'was there already'}: ${manifest.name} ${version}, licence ${licence}, sha256 ${sha256}\nrun it: sightline run --model ${manifest.name}\n`,
  );
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 0.1 && value <= 3600)) throw new InvalidArgumentError('It must be a number from 0.1 to 3600.');
  return value;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
