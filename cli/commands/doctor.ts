import { dirname } from 'node:path';
import type { Command } from 'commander';
import colours from 'picocolors';

import { loadConfig } from '#shared/runtime/load-config';

import {
  checkClock,
  checkDirectory,
  checkFfmpeg,
  checkFfprobe,
  checkMemory,
  checkNode,
  checkProcessor,
  type DoctorRow,
} from '../doctor/checks.ts';
import { checkModel } from '../doctor/model-check.ts';
import { doctorText } from '../doctor/doctor-text.ts';
import { defaultStateDirectory } from '../model-directories.ts';
import { runSettings, type RunSettings } from '../run/run-settings.ts';

// picocolors also colours what goes into a file or a pipe where CI is set.
const plain = colours.createColors(false);

interface DoctorOptions {
  readonly config?: string;
  readonly model?: string;
  readonly results?: string;
  readonly json?: true;
}

/** `sightline doctor`. */
export function registerDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('say what this machine lacks, and the command that mends it; exit code 1 where something is missing')
    .option('--config <file>', 'settings file of the run that is meant')
    .option('--model <name>', 'model to look for: a name, a manifest or an .onnx file')
    .option('--results <path>', 'where results are to be written')
    .option('--json', 'print the rows as one JSON object')
    .action(doctor);
}

async function doctor(options: DoctorOptions): Promise<void> {
  const settings = loadConfig<typeof runSettings, RunSettings>(runSettings, {
    ...(options.config === undefined ? {} : { file: options.config }),
    environment: process.env,
    flags: { model: options.model, results: options.results },
  });
  const rows = await examine(settings);
  const isReady = rows.every(({ state }) => state !== 'missing');
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ ready: isReady, rows }, null, 2)}\n`
      : doctorText(rows, process.stdout.isTTY ? colours : plain),
  );
  if (!isReady) process.exitCode = 1;
}

async function examine(settings: RunSettings): Promise<DoctorRow[]> {
  const results = resultsDirectory(settings.results);
  const instant = [checkNode(), checkProcessor(), checkMemory(), checkClock()];
  const asked = await Promise.all([
    checkFfmpeg(settings.ffmpeg),
    checkFfprobe(settings.ffmpeg),
    checkModel(settings),
    checkDirectory('state', settings.state_dir ?? defaultStateDirectory(process.env)),
    ...(results === undefined ? [] : [checkDirectory('results', results)]),
  ]);
  return [...instant, ...asked.flat()];
}

/** The directory that a `results` setting writes into; undefined for standard output. */
function resultsDirectory(results: string): string | undefined {
  if (results === '-') return undefined;
  return /\.(?:avro|jsonl)$/i.test(results) ? dirname(results) : results;
}
