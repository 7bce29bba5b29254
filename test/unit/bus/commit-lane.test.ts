import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CommitLane, type CommitBatch } from '../../../services/shared/bus/kafka/commit-lane.ts';
import { PartitionLedger } from '../../../services/shared/bus/kafka/partition-ledger.ts';
import { silentLogger } from '../../support/kafka-buses.ts';
import { records } from '../../support/scripted-kafka-group.ts';

/** A lane of one partition whose commits take no time, and what it has committed: how many records each time. */
function laneWith(spacingMs: number): {
  lane: CommitLane;
  ledger: PartitionLedger;
  finish: (count: number) => void;
  sizes: number[];
} {
  const sizes: number[] = [];
  const ledger = new PartitionLedger(0);
  const lane = new CommitLane({
    ...{ lingerMs: 10, spacingMs, assignmentTimeoutMs: 1_000, fencedTimeoutMs: 1_000, maxRecords: 256, maxBytes: 1e6 },
    catchUp: { spacingMs: 250, behindRecords: 32, togetherRecords: 16 },
    commit: ({ parts }: CommitBatch) => {
      sizes.push(parts.reduce((sum, { entries }) => sum + entries.length, 0));
      return Promise.resolve();
    },
    recover: () => Promise.resolve(),
    committed: () => undefined,
    mustYield: () => undefined,
    fatal: (error) => {
      throw error;
    },
    logger: silentLogger,
  });
  ledger.start(0n);
  lane.add(ledger);
  let next = 0;
  return {
    lane,
    ledger,
    sizes,
    finish(count) {
      for (const entry of ledger.take(records(next, next + count), BigInt(next + count))) entry.done = true;
      next += count;
      lane.touch();
    },
  };
}

describe('a lane of commits', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('commits what a busy worker finishes one by one a few at a time', async () => {
    const { finish, sizes } = laneWith(60);
    for (let made = 0; made < 13; made += 1) {
      finish(1);
      await vi.advanceTimersByTimeAsync(15);
    }
    await vi.advanceTimersByTimeAsync(60);
    expect(sizes).toEqual([1, 4, 4, 4]);
  });

  it('commits at once what comes after a pause', async () => {
    const { finish, sizes } = laneWith(60);
    for (const count of [1, 2, 3]) {
      finish(count);
      await vi.advanceTimersByTimeAsync(11);
      expect(sizes.at(-1)).toBe(count);
      await vi.advanceTimersByTimeAsync(100);
    }
  });

  it('commits more at a time while much is waiting, and as before when that is done', async () => {
    const { ledger, finish, sizes } = laneWith(60);
    ledger.highWatermark = 55n;
    for (let made = 0; made < 55; made += 1) {
      finish(1);
      await vi.advanceTimersByTimeAsync(20);
    }
    await vi.advanceTimersByTimeAsync(250);
    expect(sizes.slice(0, 3)).toEqual([1, 12, 13]);
    expect(sizes.slice(3).every((size) => size <= 4)).toBe(true);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(55);
  });

  it('does not let what it has finished fill the buffer', async () => {
    const { ledger, finish, sizes } = laneWith(60);
    ledger.highWatermark = 1_000n;
    finish(1);
    await vi.advanceTimersByTimeAsync(11);
    for (let made = 0; made < 64; made += 1) {
      finish(1);
      await vi.advanceTimersByTimeAsync(5);
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(20);
  });

  it('does not wait when it is told to end', async () => {
    const { lane, finish, sizes } = laneWith(10_000);
    finish(1);
    await vi.advanceTimersByTimeAsync(11);
    finish(2);
    await lane.drain(1_000);
    expect(sizes).toEqual([1, 2]);
  });
});
