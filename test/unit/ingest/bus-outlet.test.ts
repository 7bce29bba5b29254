import { expect, test } from 'vitest';
import { AppError } from '#shared/core/errors';
import { BusOutlet } from '../../../services/ingest/core/bus-outlet.ts';
import { ManualClock, silentLogger } from '../../support/ingest-doubles.ts';

const away = new AppError('SIGHTLINE_KAFKA_UNREACHABLE', 'away', { retryable: true });

test('a record is sent again until it is there, and the trouble is told meanwhile', async () => {
  const clock = new ManualClock();
  const outlet = new BusOutlet({ clock, logger: silentLogger });
  let attempts = 0;
  const sent = outlet.send(async () => {
    if (++attempts < 5) throw away;
    return 'there';
  }, new AbortController().signal);
  await clock.advance(300);
  expect(outlet.trouble).toBe(away);
  await clock.advance(5_000);
  expect(await sent).toBe('there');
  expect(outlet.trouble).toBeUndefined();
});

test('a record that cannot be taken is told at once', async () => {
  const outlet = new BusOutlet({ clock: new ManualClock(), logger: silentLogger });
  const refusal = new AppError('SIGHTLINE_KAFKA_RECORD_TOO_LARGE', 'too large');
  await expect(outlet.send(() => Promise.reject(refusal), new AbortController().signal)).rejects.toBe(refusal);
  expect(outlet.trouble).toBeUndefined();
});

test('nothing is tried any more once it is given up', async () => {
  const clock = new ManualClock();
  const giveUp = new AbortController();
  const sent = new BusOutlet({ clock, logger: silentLogger }).send(() => Promise.reject(away), giveUp.signal);
  const outcome = expect(sent).rejects.toBe(away);
  await clock.advance(1_000);
  giveUp.abort();
  await clock.advance(0);
  await outcome;
});
