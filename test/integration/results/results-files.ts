import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Logger } from '#shared/core/logger';
import { systemClock } from '#shared/runtime/system-clock';
import { fileDestination } from '../../support/file-destination.ts';
import type { ResultsWriter } from '../../../services/results/core/ports.ts';
import { createResultsWriter, type ResultsWriterOptions } from '../../../services/results/results-writer.ts';
import { readResults } from '../../../services/results/results-reader.ts';

const ignore = (): void => {};
export const silentLogger: Logger = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => silentLogger,
};

export async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sightline-results-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export function openWriter(destination: string, more: Partial<ResultsWriterOptions> = {}): ResultsWriter {
  const writer = createResultsWriter({
    destination: fileDestination(destination),
    logger: silentLogger,
    clock: systemClock,
    ...more,
  });
  // A test that looks at the failure of close() has it by then; this is for those that end before.
  onTestFinished(async () => {
    await Promise.allSettled([writer.close()]);
  });
  return writer;
}

export interface ReadBack {
  readonly frames: string[];
  readonly statuses: number;
  readonly endings: string[];
}

/** `camera epoch/frame` of each detection, and how each file ended. */
export async function readBack(files: readonly string[]): Promise<ReadBack> {
  const frames: string[] = [];
  const endings: string[] = [];
  let statuses = 0;
  for await (const part of readResults(files)) {
    if (part.kind === 'end') endings.push(part.ending.kind);
    else if (part.schema === 'camera-status') statuses += part.records.length;
    else frames.push(...part.records.map(({ header }) => `${header.camera_id} ${header.epoch}/${header.frame_seq}`));
  }
  return { frames, statuses, endings };
}

export interface CommandOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `sightline results …`. */
export async function runResults(...parameters: readonly string[]): Promise<CommandOutcome> {
  const script = resolve(import.meta.dirname, '../../../cli/bin.mjs');
  return new Promise((settle) => {
    execFile(
      process.execPath,
      [script, 'results', ...parameters],
      { maxBuffer: 256 * 1024 * 1024 },
      (error, stdout, stderr) => {
        settle({ exitCode: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
      },
    );
  });
}
