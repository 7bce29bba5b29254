import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import type { RunSettings } from './run-settings.ts';

const packageRoot = resolve(import.meta.dirname, '../..');

/** Where epochs, fetched models and the demo clip are kept: as set, else where the XDG rules put what a program remembers. */
export function stateDirectory(
  settings: Pick<RunSettings, 'state_dir'>,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  if (settings.state_dir !== undefined) return resolve(settings.state_dir);
  const xdg = environment['XDG_STATE_HOME'];
  // The rules say that a relative path there is to be passed over.
  return join(xdg?.startsWith('/') === true ? xdg : join(homedir(), '.local/state'), 'sightline');
}

/** Where models are looked for, first match wins. */
export function modelDirectories(
  settings: Pick<RunSettings, 'models_dir' | 'state_dir'>,
  environment: NodeJS.ProcessEnv = process.env,
): string[] {
  const own = settings.models_dir === undefined ? [] : [resolve(settings.models_dir)];
  return [...own, join(stateDirectory(settings, environment), 'models'), join(packageRoot, 'models')];
}

/** The directory that a `results` setting writes into; undefined for standard output. */
export function resultsDirectory(results: string): string | undefined {
  if (results === '-') return undefined;
  return /\.(?:avro|jsonl)$/i.test(results) ? dirname(resolve(results)) : resolve(results);
}
