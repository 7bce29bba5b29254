import { describe, expect, it } from 'vitest';
import { PartitionLedger } from '../../../services/shared/bus/kafka/partition-ledger.ts';

function record(offset: number): {
  offset: bigint;
  key: string;
  value: Buffer;
  headers: Record<string, string>;
  timestampMs: number;
} {
  return { offset: BigInt(offset), key: 'a', value: Buffer.alloc(10), headers: {}, timestampMs: 1_000 + offset };
}

function ledgerFrom(offset: bigint): PartitionLedger {
  const ledger = new PartitionLedger(0);
  ledger.start(offset);
  return ledger;
}

describe('partition ledger', () => {
  it('gives out finished records only as far as there is no gap', () => {
    const ledger = ledgerFrom(5n);
    const entries = ledger.take([5, 6, 7, 8].map(record), 9n);
    for (const [index, entry] of entries.entries()) entry.done = index !== 2;
    expect(ledger.ready(10, 1e6)?.next).toBe(7n);
  });

  it('passes over what it has already, so that a fetch may repeat itself', () => {
    const ledger = ledgerFrom(5n);
    ledger.take([5, 6].map(record), 7n);
    expect(ledger.take([5, 6, 7].map(record), 8n).map((entry) => entry.record.offset)).toEqual([7n]);
  });

  it('takes nothing that another owner has committed since, however late a fetch brings it', () => {
    const ledger = ledgerFrom(5n);
    ledger.take([5, 6].map(record), 7n);
    ledger.settle(20n);
    expect(ledger.take([7, 8, 19, 20].map(record), 21n).map((entry) => entry.record.offset)).toEqual([20n]);
  });

  it('counts markers that follow the last record as done once the record is', () => {
    const ledger = ledgerFrom(0n);
    ledger.take([record(0)], 2n);
    expect(ledger.committed).toBe(0n);
    ledger.settle(1n);
    expect(ledger.committed).toBe(2n);
  });

  it('is full by records or by bytes, and has room again when they are settled', () => {
    const ledger = ledgerFrom(0n);
    ledger.take([0, 1, 2].map(record), 3n);
    expect(ledger.isFull(3, 1e6)).toBe(true);
    expect(ledger.isFull(100, 300)).toBe(true);
    ledger.settle(2n);
    expect(ledger.isFull(3, 1e6)).toBe(false);
    expect(ledger.oldestTimestampMs).toBe(1_002);
  });
});
