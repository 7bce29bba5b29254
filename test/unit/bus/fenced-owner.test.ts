import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { KafkaSubscription } from '../../../services/shared/bus/kafka/kafka-subscription.ts';
import { AppError, toAppError } from '../../../services/shared/core/errors.ts';
import { records, ScriptedGroup, subscriptionTo } from '../../support/scripted-kafka-group.ts';

function fenced(): AppError {
  return new AppError('SIGHTLINE_KAFKA_FENCED', 'another has opened the transactional id', { retryable: true });
}

async function subscribe(group: ScriptedGroup): Promise<KafkaSubscription> {
  const subscription = subscriptionTo(group);
  await subscription.open();
  return subscription;
}

describe('an owner of a partition that has been fenced', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('never commits behind what the other owner has committed, though its own fetches still bring it', async () => {
    const group = new ScriptedGroup();
    const subscription = await subscribe(group);
    group.assign([0], 'member-1', 1);
    await vi.advanceTimersByTimeAsync(10);
    group.answers.push(fenced());
    group.fetched(0, records(0, 3));
    await vi.advanceTimersByTimeAsync(50);
    group.position = 10n;
    // What the client had asked for before: where this member was, not where the group is.
    await vi.advanceTimersByTimeAsync(1_000);
    group.fetched(0, records(3, 9));
    await vi.advanceTimersByTimeAsync(1_000);
    group.fetched(0, records(10, 12));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(group.committed).toEqual([12n]);
    await subscription.close();
  });

  it('takes over again while its process has not stood still', async () => {
    const group = new ScriptedGroup();
    const subscription = await subscribe(group);
    group.assign([0], 'member-1', 1);
    await vi.advanceTimersByTimeAsync(10);
    group.answers.push(fenced());
    group.fetched(0, records(0, 3));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(group.committed).toEqual([3n]);
    await subscription.close();
  });

  it('leaves the partition to the other one after its process has stood still', async () => {
    const group = new ScriptedGroup();
    const subscription = await subscribe(group);
    const failure = subscription.failed.catch((error: unknown) => toAppError(error).code);
    group.assign([0], 'member-1', 1);
    await vi.advanceTimersByTimeAsync(10);
    const opened = group.opened;
    const now = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => now + 2_000);
    group.answers.push(fenced());
    group.fetched(0, records(0, 3));
    await vi.advanceTimersByTimeAsync(50);
    vi.restoreAllMocks();
    expect(await failure).toBe('SIGHTLINE_KAFKA_MEMBERSHIP_LOST');
    expect(group.committed).toEqual([]);
    expect(group.opened).toBe(opened);
    await subscription.close();
  });

  it('starts from the committed position when the group was shared out without it in between', async () => {
    const group = new ScriptedGroup();
    const subscription = await subscribe(group);
    group.assign([0], 'member-1', 1);
    await vi.advanceTimersByTimeAsync(10);
    group.assign([0], 'member-1', 2);
    await vi.advanceTimersByTimeAsync(10);
    expect(group.started).toEqual([0n, 0n]);
    group.position = 7n;
    group.assign([0], 'member-1', 4);
    await vi.advanceTimersByTimeAsync(10);
    expect(group.started).toEqual([0n, 0n, 7n]);
    await subscription.close();
  });
});
