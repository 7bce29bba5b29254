import { describe, expect, test } from 'vitest';
import { DeadLetterList, type DeadLetterRecord, type RecordToReplay } from '#shared/core/dead-letter';
import { chooseLetters, filterLetters, replayLetters } from '../../../cli/dead-letters/replay.ts';

interface Written {
  readonly topic: string;
  readonly offset: number;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string | Buffer>>;
}

/** A letter as the bus writes it. */
function letter({ topic, offset, key = 'gate', headers = {} }: Written): Omit<DeadLetterRecord, 'offset'> {
  return {
    key,
    value: Buffer.from('no record of ours'),
    timestampMs: 5_000,
    headers: {
      ...headers,
      'sightline-topic': topic,
      'sightline-partition': Buffer.from('2'),
      'sightline-offset': String(offset),
      'sightline-timestamp-ms': '4000',
      'sightline-group': 'a.inference',
      'sightline-reason-code': 'SIGHTLINE_RECORD_UNDECODABLE',
      'sightline-reason': 'the record ends too early',
    },
  };
}

/** The topic and those around it, in memory. */
function start(written: readonly Written[]) {
  const records: DeadLetterRecord[] = [];
  const put = (record: Omit<DeadLetterRecord, 'offset'>) =>
    void records.push({ ...record, offset: BigInt(records.length) });
  for (const one of written) put(letter(one));
  const published: RecordToReplay[] = [];
  const read = (): DeadLetterList => {
    const list = new DeadLetterList();
    for (const record of records) list.add(record);
    return list;
  };
  const ports = {
    publish: (record: RecordToReplay) => Promise.resolve(void published.push(record)),
    note: async (position: string, headers: DeadLetterRecord['headers']) => {
      put({ key: position, value: null, headers, timestampMs: 9_000 });
    },
  };
  return { put, published, read, ports };
}

const request = { positions: [], all: true, again: false };
const two = [
  { topic: 'a.frames', offset: 7, headers: { 'sightline-priority': '3' } },
  { topic: 'a.frames', offset: 9, key: 'yard' },
];

describe('dead letters', () => {
  test('are listed by where they stood, with the reason', () => {
    const [first] = start(two).read().letters();
    expect(first).toEqual({
      ...{ position: 'a.frames/2/7', topic: 'a.frames', partition: 2, offset: '7', key: 'gate', group: 'a.inference' },
      ...{ reasonCode: 'SIGHTLINE_RECORD_UNDECODABLE', reason: 'the record ends too early', valueBytes: 17 },
      ...{ writtenAtMs: 4_000, failedAtMs: 5_000, replays: 0, replayedAtMs: null, blocked: null },
    });
  });

  test('are told apart by key and reason, and what is none is counted', () => {
    const { read, put } = start(two);
    put({ key: 'x', value: null, headers: {}, timestampMs: 0 });
    const list = read();
    expect(list.foreign).toBe(1);
    expect(filterLetters(list.letters(), { key: 'yard' }).map(({ offset }) => offset)).toEqual(['9']);
    expect(filterLetters(list.letters(), { reasons: ['SIGHTLINE_INTERNAL'] })).toEqual([]);
  });
});

describe('writing dead letters back', () => {
  test('gives a record as it was to its topic, and notes it', async () => {
    const { published, read, ports } = start(two);
    const list = read();
    const chosen = chooseLetters(list, { ...request, all: false, positions: ['a.frames/2/7'] });
    expect(await replayLetters(list, chosen, ports)).toBe(1);
    expect(published).toEqual([
      {
        ...{ topic: 'a.frames', key: 'gate', value: Buffer.from('no record of ours') },
        headers: { 'sightline-priority': '3', 'sightline-replays': '1' },
      },
    ]);
    expect(read().letters()).toMatchObject([{ replayedAtMs: 9_000 }, { replayedAtMs: null }]);
  });

  test('does all of them once, unless it is asked for again', async () => {
    const { published, read, ports } = start(two);
    await replayLetters(read(), chooseLetters(read(), request), ports);
    expect(chooseLetters(read(), request)).toEqual([]);
    expect(() => chooseLetters(read(), { ...request, all: false, positions: ['a.frames/2/7'] })).toThrow(/already/);
    await replayLetters(read(), chooseLetters(read(), { ...request, again: true }), ports);
    expect(published.map(({ key }) => key)).toEqual(['gate', 'yard', 'gate', 'yard']);
  });

  test('counts how often a record has come here', () => {
    const { read } = start([{ topic: 'a.frames', offset: 12, headers: { 'sightline-replays': '1' } }]);
    expect(read().letters()).toMatchObject([{ replays: 1 }]);
    expect(read().toReplay('a.frames/2/12').headers).toEqual({ 'sightline-replays': '2' });
  });

  test('leaves out a record without a key, which would only come back', () => {
    const { read } = start([{ topic: 'a.frames', offset: 7, key: 'a.frames/2/7' }]);
    expect(chooseLetters(read(), request)).toEqual([]);
    expect(() => chooseLetters(read(), { ...request, all: false, positions: ['a.frames/2/7'] })).toThrow(/no key/);
  });

  test('asks for positions or for all, and for positions that are there', () => {
    const { read } = start(two);
    expect(() => chooseLetters(read(), { ...request, all: false })).toThrow(/--all/);
    expect(() => chooseLetters(read(), { ...request, positions: ['a.frames/2/7'] })).toThrow(/--all/);
    expect(() => chooseLetters(read(), { ...request, all: false, positions: ['a.frames/2/8'] })).toThrow(
      /no dead letter/,
    );
  });
});
