import { AppError } from '#shared/core/errors';

/** Throws SIGHTLINE_USAGE for what a manifest cannot be called. `option`: where the user says it. */
export function checkModelName(name: string, option: string): void {
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name))
    throw new AppError('SIGHTLINE_USAGE', `'${name}' is no name for a model: small letters, digits, . _ - (${option})`);
}
