import { InvalidArgumentError, type Command } from 'commander';
import { defaultApiUrl } from './api-address.ts';

export interface JsonFlag {
  readonly json?: true;
}

/** The options by which every command finds the API. */
export function withApi(command: Command): Command {
  return command
    .option('--url <url>', `where the API is (default: SIGHTLINE_API, else ${defaultApiUrl})`)
    .option('--token-file <file>', 'read the token from a file (default: SIGHTLINE_TOKEN, else what a run here left)');
}

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('Give a whole number, 0 or above.');
  return value;
}

const unitS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** `30d`, `12h`, `10m`, `90s` in seconds. */
export function durationS(text: string): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('Give a time such as 30d, 12h or 10m.');
  return Number(count) * unitS[unit as keyof typeof unitS]; // of the pattern
}
