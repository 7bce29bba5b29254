import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { AppError } from '#shared/core/errors';
import { inputShapes, shapeOf, type InputShape } from '#shared/core/input-shape';
import { createModelLibrary, type LoadedModel } from '../../services/inference/adapters/model-files/model-library.ts';
import { usualWorkers } from '../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
import { inputSizeOfAspect, withInputSize } from '../../services/inference/core/model-shape.ts';
import { resizeOnnxInput } from '../../services/inference/core/onnx-input-size.ts';
import { executionProviders, type ExecutionProvider } from '../../services/inference/core/ports.ts';
import { defaultStateDirectory, modelDirectories, modelKeyFile } from '../model-directories.ts';
import { chooseSetting } from '../models/bench-choice.ts';
import { benchModel, type BenchRow, type RefusedRow } from '../models/model-bench.ts';
import { writeModelTuning } from '../models/model-tuning.ts';
import { textTable } from '../results/text-table.ts';
import { positiveWhole } from '../option-values.ts';

interface BenchOptions {
  readonly threads?: readonly number[];
  readonly batch: readonly number[];
  readonly provider: readonly ExecutionProvider[];
  readonly inputShape?: InputShape;
  readonly runs: number;
  readonly rounds: number;
  readonly write?: true;
  readonly modelsDir?: string;
  readonly stateDir?: string;
  readonly json?: true;
}

const help = `
Each setting is measured in a process of its own, all of them in turn, several rounds. --write keeps the number of threads and the provider
that give most frames a second for runs and services on this machine that do not say them; where rounds differ by more than the gain it
refuses (exit code 2). Batches are measured only where the file leaves their size open, and never kept: the pipeline runs one picture at a time.
`;

/** `sightline models bench`. */
export function registerModelsBench(models: Command): void {
  models
    .command('bench')
    .description('what a model costs on this machine: threads x batch x provider')
    .argument('<model>', 'name of a model, path of its manifest, or path of its .onnx file')
    .option('--threads <a,b>', 'runs at once (default: 1 to all processors)', listOf(positiveWhole))
    .option('--batch <a,b>', 'pictures in one run', listOf(positiveWhole), [1])
    .option('--provider <a,b>', executionProviders.join(', '), listOf(provider), ['cpu'])
    .addOption(
      new Option('--input-shape <shape>', "shape of a 16:9 picture's run (default: the manifest's)").choices(
        inputShapes,
      ),
    )
    .option('--runs <n>', 'runs of each thread in a round', positiveWhole, 100)
    .option('--rounds <n>', 'rounds over all settings', positiveWhole, 5)
    .option('--write', 'keep the best setting for runs and services on this machine')
    .option('--state-dir <dir>', 'where it is kept (default: the state folder of this user)')
    .option('--models-dir <directory>', 'look here first')
    .option('--json', 'print one JSON object')
    .addHelpText('after', help)
    .action((name: string, options: BenchOptions) => bench(name, options));
}

/** As it is run on the pictures of most cameras. */
function inShapeOfCamera(model: LoadedModel): LoadedModel {
  const manifest = withInputSize(model.manifest, inputSizeOfAspect(model.manifest, 16, 9));
  return { ...model, manifest, bytes: resizeOnnxInput(model.bytes, manifest.input) };
}

async function bench(name: string, options: BenchOptions): Promise<void> {
  const { modelsDir, batch: batches, provider: providers, runs, rounds, json } = options;
  const stateDir = resolve(
    options.stateDir ?? process.env['SIGHTLINE_STATE_DIR'] ?? defaultStateDirectory(process.env),
  );
  const directories = modelDirectories({ modelsDir, stateDir }, process.env);
  const library = createModelLibrary({
    ...{ directories, publicKeyFile: modelKeyFile(process.env), inputShape: options.inputShape },
  });
  const loaded = await library.load(name);
  const model = shapeOf(loaded.manifest.input) === 'fixed' ? loaded : inShapeOfCamera(loaded);
  const usual = { threads: usualWorkers(), provider: 'cpu' } as const;
  const threads = options.threads ?? Array.from({ length: availableParallelism() }, (_, index) => index + 1);
  const all = await benchModel(model, { threads, batches, providers, runs, rounds });
  const rows = all.filter((row): row is BenchRow => 'frames_per_s' in row);
  const refused = all.filter((row): row is RefusedRow => 'reason' in row);
  const choice = chooseSetting(rows, usual);
  const written =
    options.write === true && choice.kind === 'better'
      ? await writeModelTuning(stateDir, model.digest, {
          threads: choice.row.threads,
          provider: choice.row.provider,
          model: `${model.manifest.name}@${model.manifest.version}`,
          frames_per_s: choice.row.frames_per_s,
        })
      : undefined;
  if (json === true) {
    const { manifest, digest } = model;
    const facts = { model: manifest.name, version: manifest.version, digest, rows, refused, choice };
    print(JSON.stringify({ ...facts, written: written ?? null }));
  } else {
    process.stdout.write(tableOf(rows));
    for (const { provider: on, threads: each, batch, reason } of refused)
      print(`${on}, ${each} at once, batch of ${batch}: ${reason}`);
    print(
      choice.kind === 'better'
        ? `best: ${choice.row.provider}, ${choice.row.threads} at once: ${(choice.gain * 100).toFixed(0)} % above the usual setting (${usual.provider}, ${usual.threads} at once)`
        : choice.reason,
    );
    if (written !== undefined)
      print(`kept in ${written}; runs and services use it where they do not say threads or provider`);
    if (choice.kind === 'better' && choice.row.provider === 'cpu' && choice.row.threads >= availableParallelism())
      print(
        'it leaves no processor to decode cameras: for a service of its own on this machine, less so for `sightline run`',
      );
  }
  if (options.write !== true || written !== undefined) return;
  throw new AppError('SIGHTLINE_USAGE', 'nothing was written: no setting is better beyond what rounds differ by', {
    action: 'Leave it as it is, or measure longer (--runs, --rounds) on a quieter machine.',
  });
}

function tableOf(rows: readonly BenchRow[]): string {
  const number = (title: string, value: (row: BenchRow) => number, digits: number) => ({
    title,
    text: (row: BenchRow) => value(row).toFixed(digits),
  });
  const range = ({ frames_per_s_range: [low, high] }: BenchRow): string => `${low.toFixed(1)}-${high.toFixed(1)}`;
  return textTable(
    [
      { title: 'provider', align: 'left', text: (row: BenchRow) => row.provider },
      number('threads', (row) => row.threads, 0),
      number('batch', (row) => row.batch, 0),
      number('CPU ms/frame', (row) => row.cpu_ms_per_frame, 2),
      number('run p50 ms', (row) => row.run_p50_ms, 2),
      number('p99 ms', (row) => row.run_p99_ms, 2),
      number('frames/s', (row) => row.frames_per_s, 1),
      { title: 'in rounds', text: range },
      number('RSS MB', (row) => row.rss_mb, 0),
    ],
    rows,
  );
}

function listOf<T>(parse: (text: string) => T): (text: string) => readonly T[] {
  return (text) => [...new Set(text.split(',').map((part) => parse(part.trim())))];
}

function provider(text: string): ExecutionProvider {
  const known = executionProviders.find((each) => each === text);
  if (known === undefined) throw new InvalidArgumentError(`It must be one of ${executionProviders.join(', ')}.`);
  return known;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
