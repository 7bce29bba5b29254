import { availableParallelism } from 'node:os';
import { InvalidArgumentError, type Command } from 'commander';
import { AppError } from '#shared/core/errors';
import {
  createModelLibrary,
  type LoadedModel,
  type ModelLibrary,
} from '../../services/inference/adapters/model-files/model-library.ts';
import { tryModel } from '../../services/inference/adapters/onnxruntime/model-trial.ts';
import { modelDirectories, modelKeyFile } from '../model-directories.ts';
import { benchModel, type BenchRow } from '../models/model-bench.ts';
import { textTable } from '../results/text-table.ts';
import { registerModelsAdd } from './models-add.ts';
import { registerModelsDistil } from './models-distil.ts';
import { registerModelsEval } from './models-eval.ts';
import { registerModelsPull } from './models-pull.ts';
import { registerModelsRollout } from './models-rollout.ts';
import { registerModelsSign } from './models-sign.ts';
import { registerModelTools } from './model-tools.ts';

const modelHelp = 'name of a model, path of its manifest, or path of its .onnx file';

interface CommonOptions {
  readonly json?: true;
  readonly modelsDir?: string;
}

/** `sightline models list|verify|add|pull|eval|bench|distil|prune|quantise|convert`, and the steps of a roll-out. */
export function registerModelsCommands(program: Command): void {
  const models = program
    .command('models')
    .description('fetch, add, check and measure models, and roll out new versions');

  models
    .command('list')
    .description('models that are found, and what is wrong with the others')
    .option('--models-dir <directory>', 'look here first')
    .option('--json', 'print one JSON array')
    .action((options: CommonOptions) => list(options));

  models
    .command('verify')
    .description(
      'check manifest, sha256, content, input and outputs of a model and run it once; exit code 1 with the reason',
    )
    .argument('<model>', modelHelp)
    .option('--models-dir <directory>', 'look here first')
    .option('--json', 'print one JSON object')
    .action((name: string, options: CommonOptions) => verify(name, options));

  registerModelsAdd(models);
  registerModelsPull(models);
  registerModelsEval(models);

  models
    .command('bench')
    .description('time and CPU time of a run, on 1 thread up to all cores')
    .argument('<model>', modelHelp)
    .option('--models-dir <directory>', 'look here first')
    .option('--runs <n>', 'runs of each worker', wholeNumber, 100)
    .option('--json', 'print one JSON object')
    .action((name: string, options: CommonOptions & { readonly runs: number }) => bench(name, options));

  registerModelsDistil(models);
  registerModelsSign(models);
  registerModelsRollout(models);
  registerModelTools(models);
}

function openLibrary(options: CommonOptions): ModelLibrary {
  return createModelLibrary({
    directories: modelDirectories({ modelsDir: options.modelsDir }, process.env),
    publicKeyFile: modelKeyFile(process.env),
  });
}

async function list(options: CommonOptions): Promise<void> {
  const library = openLibrary(options);
  const rows = (await library.list()).map((each) =>
    'error' in each
      ? {
          name: null,
          version: null,
          family: null,
          input: null,
          licence: null,
          state: each.error.code,
          detail: each.error.message,
          manifest: each.manifestPath,
        }
      : {
          name: each.manifest.name,
          version: each.manifest.version,
          family: each.manifest.family,
          input: `${each.manifest.input.widthPx}x${each.manifest.input.heightPx}`,
          licence: each.manifest.licence,
          state: each.modelPath === null ? 'file missing' : 'present',
          detail: each.modelPath ?? `get it from ${each.manifest.source}`,
          manifest: each.manifestPath,
        },
  );
  if (options.json === true) {
    print(JSON.stringify(rows));
    return;
  }
  print(`looked in ${library.directories.join(', ')}`);
  if (rows.length === 0) {
    print('no models found');
    return;
  }
  const titles = ['name', 'version', 'family', 'input', 'licence', 'state', 'detail'] as const;
  const columns = titles.map((title) => ({
    title,
    align: 'left' as const,
    text: (row: (typeof rows)[number]) => row[title] ?? '-',
  }));
  process.stdout.write(textTable(columns, rows));
}

async function verify(name: string, options: CommonOptions): Promise<void> {
  let model: LoadedModel;
  const startMs = performance.now();
  try {
    model = await openLibrary(options).load(name);
    // Compares input and outputs with the manifest and runs the model on a grey picture, where it can be stopped.
    await tryModel(model, null);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    print(
      options.json === true
        ? JSON.stringify({ ok: false, code: error.code, reason: error.message, action: error.action })
        : `FAILED ${error.code}: ${error.message}\n${error.action}`,
    );
    process.exitCode = 1;
    return;
  }
  const { manifest, digest, opset, nodeCount, modelPath, bytes } = model;
  const readyMs = Math.round(performance.now() - startMs);
  const facts = {
    name: manifest.name,
    version: manifest.version,
    digest,
    opset,
    nodes: nodeCount,
    size_bytes: bytes.length,
    file: modelPath,
    ready_ms: readyMs,
  };
  print(
    options.json === true
      ? JSON.stringify({ ok: true, ...facts })
      : `OK ${manifest.name} ${manifest.version}: sha256 ${digest}, opset ${opset}, ${nodeCount} operators, ${bytes.length} bytes, ready in ${readyMs} ms`,
  );
}

async function bench(name: string, options: CommonOptions & { readonly runs: number }): Promise<void> {
  const model = await openLibrary(options).load(name);
  const rows: BenchRow[] = [];
  for (let workers = 1; workers <= availableParallelism(); workers++)
    rows.push(await benchModel(model, workers, options.runs));
  if (options.json === true) {
    print(JSON.stringify({ model: model.manifest.name, version: model.manifest.version, digest: model.digest, rows }));
    return;
  }
  const number = (title: string, value: (row: BenchRow) => number, digits: number) => ({
    title,
    text: (row: BenchRow) => value(row).toFixed(digits),
  });
  process.stdout.write(
    textTable(
      [
        number('workers', (row) => row.workers, 0),
        number('CPU ms/run', (row) => row.cpu_ms_per_run, 2),
        number('p50 ms', (row) => row.inference_p50_ms, 2),
        number('p99 ms', (row) => row.inference_p99_ms, 2),
        number('runs/s', (row) => row.runs_per_s, 1),
      ],
      rows,
    ),
  );
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value === 0)
    throw new InvalidArgumentError('Give a whole number, 1 or above.');
  return value;
}
