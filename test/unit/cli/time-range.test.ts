import { describe, expect, it } from 'vitest';
import { parseMoment } from '../../../cli/results/time-range.ts';

const nowMs = Date.UTC(2026, 10, 23, 6);

describe('parseMoment', () => {
  it.each([
    ['2026-11-23T06:00:00Z', nowMs],
    ['2026-11-23T08:00+02:00', nowMs],
    ['2026-11-23T06:00:00.250Z', nowMs + 250],
    ['2026-11-23', Date.UTC(2026, 10, 23)],
    ['30s', nowMs - 30_000],
    ['10m', nowMs - 600_000],
    ['2h', nowMs - 7_200_000],
    ['1d', nowMs - 86_400_000],
  ])('reads %s', (text, wanted) => {
    expect(parseMoment(text, nowMs)).toBe(wanted);
  });

  it.each(['', '10', '-10m', '10 m', 'yesterday', '2026-13-40', '2026-11-23T06:00:00', '1960-01-01'])(
    'refuses %j',
    (text) => {
      expect(() => parseMoment(text, nowMs)).toThrow('Give a time such as');
    },
  );
});
