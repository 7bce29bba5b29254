import { describe, expect, test } from 'vitest';
import { AppError } from '#shared/core/errors';
import { createMemoryLeaseStore } from '../../support/memory-lease-store.ts';
import { CameraKeeper } from '../../../services/ingest/core/camera-keeper.ts';
import { createCameraSpec } from '../../../services/ingest/core/camera-spec.ts';
import type { LeaseStore } from '../../../services/ingest/core/ports.ts';
import { ManualClock, settle, silentLogger } from '../../support/ingest-doubles.ts';

const cameras = ['a', 'b', 'c', 'd'].map((id) => createCameraSpec({ id, url: `/clips/${id}.mp4` }));
const leaseMs = 3_000;

function harness(options: { maxCameras?: number } = {}) {
  const clock = new ManualClock();
  const store = createMemoryLeaseStore(() => clock.monotonicMs());
  let isAway = false;
  const away = (): void => {
    if (isAway) throw new AppError('SIGHTLINE_INTERNAL', 'the store is away', { retryable: true });
  };
  const leases: LeaseStore = {
    ...store,
    announce: async (owner, ttlMs) => (away(), store.announce(owner, ttlMs)),
    acquire: async (name, owner, ttlMs) => (away(), store.acquire(name, owner, ttlMs)),
  };
  const events: string[] = [];
  const ends = new Map<string, () => void>();
  const keeper = (owner: string): CameraKeeper =>
    new CameraKeeper({
      leases,
      owner,
      leaseMs,
      maxCameras: options.maxCameras ?? 100,
      clock,
      logger: silentLogger,
      startCamera: ({ id }) => {
        events.push(`${owner} starts ${id}`);
        const { promise, resolve } = Promise.withResolvers<void>();
        ends.set(id, resolve);
        return {
          ended: promise,
          stop: async () => void events.push(`${owner} stops ${id}`),
          giveUp: async () => void events.push(`${owner} gives up ${id}`),
        };
      },
    });
  return { clock, events, ends, leases, keeper, setAway: (value: boolean) => (isAway = value) };
}

describe('the keeper of cameras', () => {
  test('takes all of them where it is alone', async () => {
    const { clock, keeper, events } = harness();
    const one = keeper('one');
    one.want(cameras);
    one.start();
    await clock.advance(0);
    expect(events).toEqual(['one starts a', 'one starts b', 'one starts c', 'one starts d']);
    await one.stop();
  });

  test('hands its share over to one that comes, each camera stopped before it is started elsewhere', async () => {
    const { clock, keeper, events } = harness();
    const [one, two] = [keeper('one'), keeper('two')];
    for (const each of [one, two]) each.want(cameras);
    one.start();
    await clock.advance(leaseMs);
    two.start();
    await clock.advance(2 * leaseMs);
    expect([one.cameras.length, two.cameras.length]).toEqual([2, 2]);
    for (const id of two.cameras)
      expect(events.indexOf(`one stops ${id}`)).toBeLessThan(events.indexOf(`two starts ${id}`));
    await two.stop();
    await clock.advance(2 * leaseMs);
    expect(one.cameras).toHaveLength(4);
    await one.stop();
  });

  test('takes the cameras of one that is gone when its leases have run out', async () => {
    const { clock, keeper, leases } = harness();
    for (const { id } of cameras) await leases.acquire(id, 'gone', leaseMs);
    await leases.announce('gone', leaseMs);
    const one = keeper('one');
    one.want(cameras);
    one.start();
    await clock.advance(leaseMs - 1);
    expect(one.cameras).toEqual([]);
    await clock.advance(leaseMs);
    expect(one.cameras).toHaveLength(4);
    await one.stop();
  });

  test('takes them in the moment that the leases run out, wherever its own rounds stand', async () => {
    const { clock, keeper, leases } = harness();
    const one = keeper('one');
    one.want(cameras);
    for (const { id } of cameras) await leases.acquire(id, 'gone', 10 * leaseMs);
    await leases.announce('gone', leaseMs);
    one.start();
    await clock.advance(leaseMs / 2);
    await leases.announce('gone', leaseMs);
    for (const { id } of cameras) await leases.acquire(id, 'gone', leaseMs);
    // Its rounds are at fifths of a lease, the end lies between two of them.
    await clock.advance(leaseMs - 1);
    expect(one.cameras).toEqual([]);
    await clock.advance(1);
    expect(one.cameras).toHaveLength(4);
    await one.stop();
  });

  test('goes on with what it has while the store of leases is away', async () => {
    const { clock, keeper, events, setAway } = harness();
    const one = keeper('one');
    one.want(cameras);
    one.start();
    await clock.advance(0);
    setAway(true);
    await clock.advance(20 * leaseMs);
    expect(one.trouble).toBe('the store is away');
    expect(events.filter((event) => !event.includes('starts'))).toEqual([]);
    setAway(false);
    await clock.advance(leaseMs);
    expect(one.trouble).toBeUndefined();
    await one.stop();
  });

  test('gives up at once what another one has claimed or leased', async () => {
    const { clock, keeper, events, leases } = harness();
    const one = keeper('one');
    one.want(cameras);
    one.start();
    await clock.advance(0);
    one.claimedElsewhere('b');
    await settle();
    expect(events.at(-1)).toBe('one gives up b');
    await leases.release('c', 'one');
    await leases.acquire('c', 'other', 10 * leaseMs);
    await clock.advance(leaseMs / 3);
    expect(events).toContain('one gives up c');
    await one.stop();
  });

  test('does not start again what ended by itself, until it is registered anew', async () => {
    const { clock, keeper, events, ends } = harness();
    const [first] = cameras;
    if (first === undefined) throw new Error('no camera');
    const one = keeper('one');
    one.want([first]);
    one.start();
    await clock.advance(0);
    ends.get('a')?.();
    await clock.advance(2 * leaseMs);
    expect(events).toEqual(['one starts a', 'one stops a']);
    one.want([{ ...first }]);
    await clock.advance(leaseMs);
    expect(events.at(-1)).toBe('one starts a');
    await one.stop();
  });

  test('takes no more than it may', async () => {
    const { clock, keeper } = harness({ maxCameras: 3 });
    const one = keeper('one');
    one.want(cameras);
    one.start();
    await clock.advance(leaseMs);
    expect(one.cameras).toHaveLength(3);
    await one.stop();
  });
});
