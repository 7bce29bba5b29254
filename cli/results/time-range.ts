import { InvalidArgumentError } from 'commander';

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * A moment as people write it, in milliseconds: `2026-11-23T06:00:00Z` (or with an offset), `2026-11-23` (UTC), or `10m`, `2h`, `1d`, `30s`
 * for so long before `nowMs`. A time without a zone is refused: it would mean something else on each machine.
 */
export function parseMoment(text: string, nowMs: number): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (count !== undefined) return nowMs - Number(count) * unitMs[unit as keyof typeof unitMs];
  if (/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text)) {
    const timeMs = Date.parse(text);
    if (Number.isFinite(timeMs) && timeMs >= 0) return timeMs;
  }
  throw new InvalidArgumentError('Give a time such as 2026-11-23T06:00:00Z, or 10m, 2h, 1d for so long ago.');
}
