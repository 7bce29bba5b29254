import { expect, it } from 'vitest';
import { committedRecords } from '../../../services/shared/bus/kafka/platformatic/fetch-loop.ts';

type Answer = Parameters<typeof committedRecords>[0];
type Batch = NonNullable<Answer['records']>[number];

const transactional = 0x10;
const control = 0x30;

function batch(firstOffset: number, count: number, producerId: number, attributes = transactional): Batch {
  return {
    firstOffset: BigInt(firstOffset),
    length: 0,
    partitionLeaderEpoch: 0,
    magic: 2,
    crc: 0,
    attributes,
    lastOffsetDelta: count - 1,
    firstTimestamp: 0n,
    maxTimestamp: 0n,
    producerId: BigInt(producerId),
    producerEpoch: 0,
    firstSequence: 0,
    records: Array.from({ length: count }, (_, offsetDelta) => ({
      length: 0,
      attributes: 0,
      timestampDelta: 0n,
      offsetDelta,
      key: Buffer.from('a'),
      value: Buffer.from('v'),
      headers: [],
    })),
  };
}

const offsets = (answer: Answer, from = 0n): bigint[] =>
  committedRecords(answer, from).records.map((record) => record.offset);

it('keeps back the records of an aborted transaction, and what the same producer commits afterwards comes through', () => {
  const records = [batch(0, 2, 1), batch(2, 1, 1, control), batch(3, 2, 1), batch(5, 1, 1, control)];
  expect(offsets({ records, abortedTransactions: [{ producerId: 1n, firstOffset: 0n }] })).toEqual([3n, 4n]);
});

it('keeps them back also where the end of the transaction lies beyond what was fetched', () => {
  const records = [batch(0, 2, 1), batch(2, 2, 2)];
  expect(offsets({ records, abortedTransactions: [{ producerId: 1n, firstOffset: 0n }] })).toEqual([2n, 3n]);
});

it('keeps back every one of several aborted transactions of a producer', () => {
  const records = [batch(0, 1, 1), batch(1, 1, 1, control), batch(2, 1, 1), batch(3, 1, 1, control), batch(4, 1, 1)];
  const abortedTransactions = [0n, 2n].map((firstOffset) => ({ producerId: 1n, firstOffset }));
  expect(offsets({ records, abortedTransactions })).toEqual([4n]);
});

it('goes on behind markers, and passes over what lies before the place that was asked for', () => {
  const answer: Answer = { records: [batch(0, 4, 1), batch(4, 1, 1, control)], abortedTransactions: [] };
  expect(offsets(answer, 2n)).toEqual([2n, 3n]);
  expect(committedRecords(answer, 2n).nextOffset).toBe(5n);
});
