import type { DoctorRow } from './checks.ts';

/** Colours as the terminal wants them, or none. */
export interface Paint {
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly red: (text: string) => string;
  readonly dim: (text: string) => string;
}

/** The rows as a table, each with what mends it below, and a last line that says how it stands. */
export function doctorText(rows: readonly DoctorRow[], paint: Paint): string {
  const colours = { ok: paint.green, warn: paint.yellow, missing: paint.red };
  const width = Math.max(...rows.map(({ check }) => check.length));
  const lines = rows.flatMap(({ check, state, found, mend }) => [
    `${colours[state](state.padEnd('missing'.length))}  ${check.padEnd(width)}  ${found}`,
    ...(mend === undefined ? [] : [`${' '.repeat('missing'.length + width + 4)}${paint.dim(`mend: ${mend}`)}`]),
  ]);
  const missing = rows.filter(({ state }) => state === 'missing').length;
  const warned = rows.filter(({ state }) => state === 'warn').length;
  const verdict = missing > 0 ? `${missing} missing` : warned > 0 ? `ready, with ${warned} to look at` : 'ready';
  return `${[...lines, '', verdict].join('\n')}\n`;
}
