import { InvalidArgumentError } from 'commander';

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

/** One or more of something; so many that no option means more. */
export function positiveWhole(text: string): number {
  const value = Number(text);
  if (!/^\d{1,6}$/.test(text) || value === 0) throw new InvalidArgumentError('Give a whole number, 1 or above.');
  return value;
}

export function share(text: string): number {
  const value = Number(text);
  if (text === '' || !(value >= 0 && value <= 1)) throw new InvalidArgumentError('Give a number from 0 to 1.');
  return value;
}
