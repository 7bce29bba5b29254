import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AppError } from '../../../services/shared/core/errors.ts';
import { records, ScriptedGroup, subscriptionTo } from '../../support/scripted-kafka-group.ts';

async function subscribe(group: ScriptedGroup, prepare: (partitions: readonly number[]) => Promise<void>) {
  const subscription = subscriptionTo(group, prepare);
  await subscription.open();
  return subscription;
}

describe('a partition that a member is given', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is prepared after its former owner was fenced, and nothing of it is fetched until that has succeeded', async () => {
    const group = new ScriptedGroup();
    const seen: unknown[] = [];
    let attempts = 0;
    const subscription = await subscribe(group, (partitions) => {
      seen.push({ partitions, opened: group.opened, started: [...group.started] });
      attempts += 1;
      return attempts === 1
        ? Promise.reject(new AppError('SIGHTLINE_KAFKA_UNREACHABLE', 'no answer', { retryable: true }))
        : Promise.resolve();
    });
    group.position = 4n;
    group.assign([0], 'member-1', 1);
    await vi.advanceTimersByTimeAsync(5);
    expect(subscription.trouble).toBe('no answer');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(subscription.trouble).toBeUndefined();
    const before = { partitions: [0], opened: 1, started: [] };
    expect(seen).toEqual([before, before]);
    expect(group.started).toEqual([4n]);
    await subscription.close();
  });

  it('is prepared again where it may have been another’s in between, and not where it stayed', async () => {
    const group = new ScriptedGroup();
    let prepared = 0;
    const subscription = await subscribe(group, () => {
      prepared += 1;
      return Promise.resolve();
    });
    group.assign([0], 'member-1', 1);
    await vi.advanceTimersByTimeAsync(10);
    group.assign([0], 'member-1', 2);
    await vi.advanceTimersByTimeAsync(10);
    expect(prepared).toBe(1);
    // The group was shared out a third time without this member.
    group.assign([0], 'member-1', 4);
    await vi.advanceTimersByTimeAsync(10);
    expect(prepared).toBe(2);
    group.fetched(0, records(0, 2));
    await vi.advanceTimersByTimeAsync(100);
    expect(group.committed).toEqual([2n]);
    await subscription.close();
  });
});
