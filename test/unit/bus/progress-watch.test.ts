import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { KafkaAdmin } from '../../../services/shared/bus/kafka/kafka-driver.ts';
import { PartitionLedger } from '../../../services/shared/bus/kafka/partition-ledger.ts';
import { ProgressWatch } from '../../../services/shared/bus/kafka/progress-watch.ts';
import type { AppError } from '../../../services/shared/core/errors.ts';
import { records } from '../../support/scripted-kafka-group.ts';

const stallTimeoutMs = 30_000;

/** A member with one partition, of which the broker has ten records. */
function watched(): {
  ledger: PartitionLedger;
  broker: { isAway: boolean };
  stalled: AppError[];
  watch: ProgressWatch;
} {
  const broker = { isAway: false };
  const offsets = (): Promise<ReadonlyMap<number, { first: bigint; end: bigint }>> =>
    broker.isAway ? Promise.reject(new Error('away')) : Promise.resolve(new Map([[0, { first: 0n, end: 10n }]]));
  const ledger = new PartitionLedger(0);
  const stalled: AppError[] = [];
  const watch = new ProgressWatch({
    // All that it asks.
    admin: { offsets } as unknown as KafkaAdmin,
    ...{ topic: 'frames', group: 'workers', stallTimeoutMs },
    ledgers: () => [ledger],
    trouble: () => 'positions are not stable',
    stalled: (error) => stalled.push(error),
  });
  ledger.start(0n);
  return { ledger, broker, stalled, watch };
}

describe('the watch over progress', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('says so when nothing moves though records wait', async () => {
    const { stalled, watch } = watched();
    await vi.advanceTimersByTimeAsync(1.5 * stallTimeoutMs);
    expect(stalled[0]).toMatchObject({ code: 'SIGHTLINE_KAFKA_STALLED', retryable: true });
    expect(stalled[0]?.message).toContain('positions are not stable');
    watch.stop();
  });

  it('leaves a member alone that had nothing to do for as long as the broker was away, and has only just got work again', async () => {
    const { broker, ledger, stalled, watch } = watched();
    await vi.advanceTimersByTimeAsync(stallTimeoutMs / 4);
    broker.isAway = true;
    // However long the outage was, and wherever it ends between two looks.
    for (let awayMs = stallTimeoutMs / 2; awayMs < 2 * stallTimeoutMs; awayMs += 1_700) {
      await vi.advanceTimersByTimeAsync(awayMs);
      broker.isAway = false;
      await vi.advanceTimersByTimeAsync(stallTimeoutMs / 2);
      broker.isAway = true;
    }
    expect(stalled).toEqual([]);
    broker.isAway = false;
    ledger.take(records(0, 10), 10n);
    ledger.settle(10n);
    await vi.advanceTimersByTimeAsync(3 * stallTimeoutMs);
    expect(stalled).toEqual([]);
    watch.stop();
  });

  it('begins to count anew with every step', async () => {
    const { ledger, stalled, watch } = watched();
    for (let offset = 1; offset < 9; offset += 1) {
      await vi.advanceTimersByTimeAsync(0.9 * stallTimeoutMs);
      ledger.settle(BigInt(offset));
    }
    expect(stalled).toEqual([]);
    watch.stop();
  });
});
