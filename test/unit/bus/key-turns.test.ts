import { describe, expect, test } from 'vitest';
import { KeyTurns } from '#shared/bus/kafka/key-turns';
import { PartitionLedger, type LedgerEntry } from '#shared/bus/kafka/partition-ledger';
import { priorityHeader } from '#shared/bus/kafka/serde';

const ledger = new PartitionLedger(0);
let offset = 0n;

function entry(key: string, priority?: string): LedgerEntry {
  const headers = priority === undefined ? {} : { [priorityHeader]: Buffer.from(priority) };
  const record = { offset: offset++, key, value: null, headers, timestampMs: 0 };
  return { ledger, record, bytes: 0, done: false, outputs: [] };
}

function order(turns: KeyTurns, count: number): string {
  return Array.from({ length: count }, () => turns.next()?.record.key ?? '-').join('');
}

describe('turns between cameras', () => {
  test('a busy camera does not keep the others waiting', () => {
    const turns = new KeyTurns(Infinity);
    for (let count = 0; count < 60; count++) turns.add(entry('a'));
    for (const key of ['b', 'c', 'b']) turns.add(entry(key));
    expect(order(turns, 7)).toBe('abcabaa');
  });

  test('shares follow the priorities while all have something waiting, and nobody waits for an absent one', () => {
    const turns = new KeyTurns(Infinity);
    for (let count = 0; count < 6; count++)
      for (const [key, priority] of [['a'], ['b', '3']] as const) turns.add(entry(key, priority));
    expect(order(turns, 13)).toBe('abbbabbbaaaa-');
  });

  test('a priority that is none counts as the lowest, and none is above ten', () => {
    const turns = new KeyTurns(Infinity);
    for (let count = 0; count < 12; count++)
      for (const [key, priority] of [
        ['a', '-4'],
        ['b', '9e9'],
        ['c', 'x'],
      ] as const)
        turns.add(entry(key, priority));
    expect(order(turns, 14)).toBe('abbbbbbbbbbcab');
  });

  test('a camera that may have one record under way passes its turn on', () => {
    const turns = new KeyTurns(1);
    for (const key of ['a', 'a', 'b']) turns.add(entry(key, '5'));
    expect(order(turns, 3)).toBe('ab-');
  });
});
