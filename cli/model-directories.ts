import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export interface ModelDirectorySources {
  /** The setting models_dir, from wherever it was given. */
  readonly modelsDir?: string | undefined;
  readonly stateDir?: string | undefined;
}

/** Where what outlives a run is kept unless `state_dir` says otherwise. */
export function defaultStateDirectory(environment: Readonly<Record<string, string | undefined>>): string {
  return join(environment['XDG_STATE_HOME'] ?? join(homedir(), '.local/state'), 'sightline');
}

/** Where models are looked for, first match wins: the user's own directory, those fetched on this machine, those that come with Sightline. */
export function modelDirectories(
  sources: ModelDirectorySources,
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const own = sources.modelsDir ?? nonEmpty(environment['SIGHTLINE_MODELS_DIR']);
  const shipped = resolve(import.meta.dirname, '../models');
  return [...(own === undefined ? [] : [resolve(own)]), modelStoreDirectory(sources, environment), shipped];
}

/** Where models that are added or fetched on this machine are kept. */
export function modelStoreDirectory(
  { stateDir }: Pick<ModelDirectorySources, 'stateDir'>,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  return join(stateDirectory(stateDir, environment), 'models');
}

/** Where commands that read no settings file keep what outlives them. */
export function stateDirectory(
  stateDir: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  return resolve(stateDir ?? nonEmpty(environment['SIGHTLINE_STATE_DIR']) ?? defaultStateDirectory(environment));
}

/** The setting model_key_file for commands that read no settings file. */
export function modelKeyFile(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  return nonEmpty(environment['SIGHTLINE_MODEL_KEY_FILE']);
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
