import { readFileSync } from 'node:fs';
import { AppError } from '#shared/core/errors';

/** Environment variables as the settings of a connection read them. Each throws SIGHTLINE_CONFIG_INVALID naming the variable, never its value. */
export interface EnvironmentVariables {
  /** Undefined where it is absent or empty. */
  readonly text: (name: string) => string | undefined;
  readonly yesOrNo: (name: string) => boolean | undefined;
  /** What is in the file that it names. */
  readonly content: (name: string) => string | undefined;
  /** Its value, or the content of the file that NAME_FILE names without the end of its line. */
  readonly secret: (name: string) => string | undefined;
}

/** `guarded` are names that only the `known` may have: misspelt, one would leave the connection open to be read. */
export function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  guarded: RegExp,
  known: readonly string[],
): EnvironmentVariables {
  for (const name of Object.keys(environment)) {
    if (guarded.test(name) && !known.includes(name)) throw invalidVariable(name, 'is not a known setting');
  }
  const text = (name: string): string | undefined => {
    const value = environment[name];
    return value === undefined || value === '' ? undefined : value;
  };
  const content = (name: string): string | undefined => {
    const file = text(name);
    try {
      return file === undefined ? undefined : readFileSync(file, 'utf8');
    } catch (error) {
      throw invalidVariable(name, 'names a file that cannot be read', error);
    }
  };
  return {
    text,
    content,
    yesOrNo(name) {
      const value = text(name)?.toLowerCase();
      if (value === undefined) return undefined;
      if (['false', '0', 'no', 'off'].includes(value)) return false;
      if (['true', '1', 'yes', 'on'].includes(value)) return true;
      throw invalidVariable(name, 'must be true or false');
    },
    secret: (name) => text(name) ?? content(`${name}_FILE`)?.replace(/\r?\n$/, ''),
  };
}

export function invalidVariable(name: string, reason: string, cause?: unknown): AppError {
  return new AppError(
    'SIGHTLINE_CONFIG_INVALID',
    `environment variable ${name} ${reason}`,
    cause === undefined ? {} : { cause },
  );
}
