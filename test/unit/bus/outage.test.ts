import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AppError } from '../../../services/shared/core/errors.ts';
import { records, ScriptedGroup, scriptedTuning, subscriptionTo } from '../../support/scripted-kafka-group.ts';

const away = new AppError('SIGHTLINE_KAFKA_UNREACHABLE', 'no broker answers', { retryable: true });
const { joinTimeoutMs } = scriptedTuning;

describe('a group whose broker is away', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is joined anew by a member whose client has given up, however long it takes, which says so meanwhile', async () => {
    const group = new ScriptedGroup();
    const subscription = subscriptionTo(group);
    await subscription.open();
    group.assign([0], 'member-1', 1);
    await vi.advanceTimersByTimeAsync(10);
    expect(subscription.trouble).toBeUndefined();

    group.away = away;
    group.breakOff(away);
    await vi.advanceTimersByTimeAsync(10 * joinTimeoutMs);
    expect(subscription.isStopped).toBe(false);
    expect(subscription.trouble).toBe('no broker answers');

    group.away = undefined;
    group.position = 7n;
    await vi.advanceTimersByTimeAsync(1_000);
    group.assign([0], 'member-2', 1);
    await vi.advanceTimersByTimeAsync(10);
    group.fetched(0, records(7, 9));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(subscription.trouble).toBeUndefined();
    expect(group.committed).toEqual([9n]);
    await subscription.close();
  });

  it('is not waited for without end at the start', async () => {
    const group = new ScriptedGroup();
    group.away = away;
    const subscription = subscriptionTo(group);
    const opened = subscription.open();
    const failed = expect(opened).rejects.toThrow('no broker answers');
    await vi.advanceTimersByTimeAsync(joinTimeoutMs + 2_000);
    await failed;
    await subscription.close();
  });
});
