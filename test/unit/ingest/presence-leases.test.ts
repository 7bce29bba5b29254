import { describe, expect, test } from 'vitest';
import type { IngestPresence } from '#schemas';
import { AppError } from '#shared/core/errors';
import { PresenceLeases } from '../../../services/ingest/core/presence-leases.ts';
import { ManualClock, settle } from '../../support/ingest-doubles.ts';

const ttlMs = 3_000;

/** The topic that all ingests read, in memory. */
function topic() {
  const clock = new ManualClock();
  const records: { readonly presence: IngestPresence; readonly atMs: number }[] = [];
  const readers: PresenceLeases[] = [];
  let isAway = false;
  let slowMs = 0;
  const publish = async (presence: IngestPresence): Promise<number> => {
    if (isAway) throw new AppError('SIGHTLINE_KAFKA_UNREACHABLE', 'away', { retryable: true });
    if (slowMs > 0) await clock.sleep(slowMs, new AbortController().signal);
    const offset = records.push({ presence, atMs: clock.monotonicMs() }) - 1;
    for (const reader of readers) reader.heard(presence, offset, 0);
    return offset;
  };
  return {
    clock,
    setAway: (value: boolean) => (isAway = value),
    setSlow: (valueMs: number) => (slowMs = valueMs),
    join: (): PresenceLeases => {
      const leases = new PresenceLeases({ publish, version: '0', clock });
      for (const [offset, { presence, atMs }] of records.entries())
        leases.heard(presence, offset, clock.monotonicMs() - atMs);
      readers.push(leases);
      return leases;
    },
  };
}

describe('leases by presence', () => {
  test('a camera belongs to whoever took it first, until it is released', async () => {
    const { join } = topic();
    const [one, two] = [join(), join()];
    await one.announce('one', ttlMs);
    expect((await two.announce('two', ttlMs)).toSorted()).toEqual(['one', 'two']);
    expect(await one.acquire('gate')).toBe(true);
    await one.announce('one', ttlMs);
    expect(await two.acquire('gate')).toBe(false);
    await one.release('gate', 'one');
    expect(await two.acquire('gate')).toBe(true);
  });

  test('one that comes later knows at once who has what', async () => {
    const { join } = topic();
    const one = join();
    await one.acquire('gate');
    await one.announce('one', ttlMs);
    const two = join();
    expect(await two.announce('two', ttlMs)).toContain('one');
    expect(await two.acquire('gate')).toBe(false);
  });

  test('one that is not heard of for a lease has nothing any more', async () => {
    const { clock, join } = topic();
    const [one, two] = [join(), join()];
    await one.acquire('gate');
    await one.announce('one', ttlMs);
    await clock.advance(ttlMs - 1);
    expect(await two.announce('two', ttlMs)).toContain('one');
    await clock.advance(1);
    expect(await two.announce('two', ttlMs)).toEqual(['two']);
    expect(await two.acquire('gate')).toBe(true);
  });

  test('a topic that is slow to answer is no reason to take the others for dead', async () => {
    const { clock, join, setSlow } = topic();
    const [one, two] = [join(), join()];
    await one.acquire('gate');
    await one.announce('one', ttlMs);
    await two.announce('two', ttlMs);
    setSlow(2 * ttlMs);
    const told = two.announce('two', ttlMs);
    await clock.advance(2 * ttlMs);
    expect(await told).toContain('one');
    expect(await two.acquire('gate')).toBe(false);
    setSlow(0);
    await clock.advance(ttlMs);
    expect(await two.announce('two', ttlMs)).toEqual(['two']);
  });

  test('tells how long until the first of the others counts as gone', async () => {
    const { clock, join } = topic();
    const [one, two, three] = [join(), join(), join()];
    await one.announce('one', ttlMs);
    expect(one.untilLapseMs()).toBeNull();
    await two.announce('two', ttlMs);
    await clock.advance(ttlMs / 3);
    await three.announce('three', ttlMs);
    expect(one.untilLapseMs()).toBe((ttlMs * 2) / 3);
    await clock.advance(ttlMs);
    expect(one.untilLapseMs()).toBe(0);
    expect(await one.announce('one', ttlMs)).toEqual(['one']);
    expect(one.untilLapseMs()).toBeNull();
  });

  test('one that leaves gives everything back at once', async () => {
    const { join } = topic();
    const [one, two] = [join(), join()];
    await one.acquire('gate');
    await one.announce('one', ttlMs);
    await one.leave('one');
    expect(await two.announce('two', ttlMs)).toEqual(['two']);
    expect(await two.acquire('gate')).toBe(true);
  });

  test('after an outage of the topic the others get a lease to be heard of again', async () => {
    const { clock, join, setAway } = topic();
    const [one, two] = [join(), join()];
    await one.acquire('gate');
    await one.announce('one', ttlMs);
    await two.announce('two', ttlMs);
    setAway(true);
    await clock.advance(ttlMs / 3);
    await expect(two.announce('two', ttlMs)).rejects.toMatchObject({ code: 'SIGHTLINE_KAFKA_UNREACHABLE' });
    await clock.advance(10 * ttlMs);
    setAway(false);
    expect(await two.announce('two', ttlMs)).toContain('one');
    expect(await two.acquire('gate')).toBe(false);
  });

  test('cameras that are given back at once, in the middle of a round, are each told when their word was read back', async () => {
    const clock = new ManualClock();
    const told: IngestPresence[] = [];
    const leases = new PresenceLeases({
      publish: (presence) => Promise.resolve(told.push(presence) - 1),
      version: '0',
      clock,
    });
    for (const name of ['gate', 'yard']) await leases.acquire(name);
    const words = [leases.announce('one', ttlMs), leases.release('gate', 'one'), leases.release('yard', 'one')];
    await settle();
    for (const [offset, presence] of told.entries()) leases.heard(presence, offset, 0);
    await Promise.all(words);
    expect(told.at(-1)?.cameras).toEqual([]);
  });
});
