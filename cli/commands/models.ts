import type { Command } from 'commander';
import { AppError } from '#shared/core/errors';
import {
  createModelLibrary,
  type LoadedModel,
  type ModelLibrary,
} from '../../services/inference/adapters/model-files/model-library.ts';
import { tryModel } from '../../services/inference/adapters/onnxruntime/model-trial.ts';
import { modelDirectories, modelKeyFile } from '../model-directories.ts';
import { textTable } from '../results/text-table.ts';
import { registerModelsAdd } from './models-add.ts';
import { registerModelsBench } from './models-bench.ts';
import { registerModelsDistil } from './models-distil.ts';
import { registerModelsEval } from './models-eval.ts';
import { registerModelsPull } from './models-pull.ts';
import { registerModelsRollout } from './models-rollout.ts';
import { registerModelsSign } from './models-sign.ts';
import { registerModelsConvert } from './models-convert.ts';
import { registerModelsQuantise } from './models-quantise.ts';

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

  registerModelsBench(models);
  registerModelsDistil(models);
  registerModelsSign(models);
  registerModelsRollout(models);
  registerModelsQuantise(models);
  registerModelsConvert(models);
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

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
