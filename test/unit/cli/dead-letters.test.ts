import { describe, expect, test } from 'vitest';
import {
  DeadLetterList,
  toReplay,
  type DeadLetterListOptions,
  type DeadLetterRecord,
  type RecordToReplay,
} from '#shared/core/dead-letter';
import {
  chooseLetters,
  replayLetters,
  wants,
  wantsToReplay,
  type ReplayRequest,
} from '../../../cli/dead-letters/replay.ts';

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
  const read = (options: Partial<DeadLetterListOptions> = {}): DeadLetterList => {
    const list = new DeadLetterList({ most: 100, whenFull: 'keep-newest', ...options });
    for (const record of records) list.addNote(record);
    for (const record of records) list.add(record);
    return list;
  };
  const choose = (asked: ReplayRequest, most = 100) =>
    chooseLetters(read({ keeps: wantsToReplay(asked), most, whenFull: 'keep-oldest' }).letters(), asked);
  /** The records as they stand now: notes that are written meanwhile are not among them. */
  async function* stream() {
    for (const record of [...records]) yield await Promise.resolve(record);
  }
  const ports = {
    publish: (record: RecordToReplay) => Promise.resolve(void published.push(record)),
    note: async (position: string, headers: DeadLetterRecord['headers']) => {
      put({ key: position, value: null, headers, timestampMs: 9_000 });
    },
  };
  const replay = (asked: ReplayRequest, most = 100) => replayLetters(choose(asked, most), stream(), ports);
  return { put, published, read, choose, replay, records };
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
    expect(read({ keeps: wants({ key: 'yard' }) }).letters()).toMatchObject([{ offset: '9' }]);
    expect(read({ keeps: wants({ reasons: ['SIGHTLINE_INTERNAL'] }) }).letters()).toEqual([]);
  });

  test('are listed to a limit, the newest of them, with the count of the others', () => {
    const many = Array.from({ length: 5 }, (_, offset) => ({ topic: 'a.frames', offset }));
    const list = start(many).read({ most: 2 });
    expect(list.letters()).toMatchObject([{ offset: '3' }, { offset: '4' }]);
    expect(list.leftOut).toBe(3);
  });
});

describe('writing dead letters back', () => {
  test('gives a record as it was to its topic, and notes it', async () => {
    const { published, read, replay } = start(two);
    expect(await replay({ ...request, all: false, positions: ['a.frames/2/7'] })).toBe(1);
    expect(published).toEqual([
      {
        ...{ topic: 'a.frames', key: 'gate', value: Buffer.from('no record of ours') },
        headers: { 'sightline-priority': '3', 'sightline-replays': '1' },
      },
    ]);
    expect(read().letters()).toMatchObject([{ replayedAtMs: 9_000 }, { replayedAtMs: null }]);
  });

  test('does all of them once, unless it is asked for again', async () => {
    const { published, choose, replay } = start(two);
    await replay(request);
    expect(choose(request)).toEqual([]);
    expect(() => choose({ ...request, all: false, positions: ['a.frames/2/7'] })).toThrow(/already/);
    await replay({ ...request, again: true });
    expect(published.map(({ key }) => key)).toEqual(['gate', 'yard', 'gate', 'yard']);
  });

  test('comes to the end of more than it takes at once, the oldest first', async () => {
    const many = Array.from({ length: 5 }, (_, offset) => ({ topic: 'a.frames', offset, key: String(offset) }));
    const { published, replay } = start(many);
    const counts = [await replay(request, 2), await replay(request, 2), await replay(request, 2)];
    expect(counts).toEqual([2, 2, 1]);
    expect(published.map(({ key }) => key)).toEqual(['0', '1', '2', '3', '4']);
  });

  test('counts how often a record has come here', () => {
    const { read, records } = start([{ topic: 'a.frames', offset: 12, headers: { 'sightline-replays': '1' } }]);
    expect(read().letters()).toMatchObject([{ replays: 1 }]);
    expect(records.map((record) => toReplay(record)?.record.headers)).toEqual([{ 'sightline-replays': '2' }]);
  });

  test('leaves out a record without a key, which would only come back', () => {
    const { choose } = start([{ topic: 'a.frames', offset: 7, key: 'a.frames/2/7' }]);
    expect(choose(request)).toEqual([]);
    expect(() => choose({ ...request, all: false, positions: ['a.frames/2/7'] })).toThrow(/no key/);
  });

  test('asks for positions or for all, and for positions that are there', () => {
    const { choose } = start(two);
    expect(() => choose({ ...request, all: false })).toThrow(/--all/);
    expect(() => choose({ ...request, positions: ['a.frames/2/7'] })).toThrow(/--all/);
    expect(() => choose({ ...request, all: false, positions: ['a.frames/2/8'] })).toThrow(/no dead letter/);
  });
});
