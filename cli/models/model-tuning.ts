import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { isRecord } from '#shared/core/check-schema';
import { executionProviders, type ExecutionProvider } from '../../services/inference/core/ports.ts';

/** How a model runs best on this machine, as `models bench --write` found it. */
export interface ModelTuning {
  readonly threads: number;
  readonly provider: ExecutionProvider;
}

/**
 * Not in the manifest, which is signed and never changed: what is best here is of this machine. One file for all models, by the sha256 of
 * their files; an entry of another machine (a state folder that was moved, a larger instance) is passed over.
 */
export function readModelTuning(stateDir: string, digest: string): ModelTuning | undefined {
  const all = readAll(stateDir);
  const entry = all[digest];
  if (!isRecord(entry) || entry['machine'] !== machineName()) return undefined;
  const { threads, provider } = entry;
  const known = executionProviders.find((each) => each === provider);
  if (known === undefined || typeof threads !== 'number' || !Number.isInteger(threads) || threads < 1 || threads > 256)
    return undefined;
  return { threads, provider: known };
}

/** Kept whole or not at all. Gives the file. */
export async function writeModelTuning(
  stateDir: string,
  digest: string,
  tuning: ModelTuning & { readonly model: string; readonly frames_per_s: number },
): Promise<string> {
  const file = tuningFile(stateDir);
  const entry = { ...tuning, machine: machineName(), measured_at: new Date().toISOString() };
  const draft = `${file}.${process.pid}`;
  await mkdir(stateDir, { recursive: true });
  await writeFile(draft, `${JSON.stringify({ ...readAll(stateDir), [digest]: entry }, undefined, 2)}\n`);
  await rename(draft, file);
  return file;
}

function tuningFile(stateDir: string): string {
  return join(stateDir, 'model-tuning.json');
}

/** A file that is not there or that somebody broke is as good as none: it only makes runs faster. */
function readAll(stateDir: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(tuningFile(stateDir), 'utf8'));
    return isRecord(parsed) ? parsed : {};
  } catch {
    return {};
  }
}

function machineName(): string {
  return `${cpus()[0]?.model ?? process.arch} x ${availableParallelism()}`;
}
