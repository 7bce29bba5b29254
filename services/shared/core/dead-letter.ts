import { AppError } from './errors.ts';

type Headers = Readonly<Record<string, string | Buffer>>;

/** A record as it lies on the dead-letters topic. */
export interface DeadLetterRecord {
  readonly offset: bigint;
  readonly key: string | null;
  readonly value: Buffer | null;
  readonly headers: Headers;
  readonly timestampMs: number;
}

/** A record that somebody could not read, and what became of it. */
export interface DeadLetter {
  /** Where it stood: `topic/partition/offset`. By this it is named. */
  readonly position: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly key: string;
  readonly reasonCode: string;
  readonly reason: string;
  /** Group of those who could not read it. */
  readonly group: string;
  /** When it was written first. */
  readonly writtenAtMs: number;
  readonly failedAtMs: number;
  readonly valueBytes: number;
  /** How often it was written back before it came here. */
  readonly replays: number;
  /** When it was written back; null where it was not. */
  readonly replayedAtMs: number | null;
  /** Why writing it back would be no use; null where it may be. */
  readonly blocked: string | null;
}

export interface RecordToReplay {
  readonly topic: string;
  readonly key: string;
  readonly value: Buffer | null;
  readonly headers: Headers;
}

/** What the bus adds when it sends a record here. */
const addedHeaders = ['topic', 'partition', 'offset', 'timestamp-ms', 'group', 'reason-code', 'reason'].map(
  (name) => `sightline-${name}`,
);
const replaysHeader = 'sightline-replays';
/** On the note that stands behind a letter which was written back. */
const replayedHeader = 'sightline-replayed';

/** The letters of the topic in its order, each with the note that it was written back where there is one. */
export class DeadLetterList {
  readonly #letters = new Map<string, { letter: DeadLetter; readonly record: DeadLetterRecord }>();
  /** Records that are no letters of ours. */
  foreign = 0;

  add(record: DeadLetterRecord): void {
    const replayed = text(record.headers[replayedHeader]);
    if (replayed !== undefined) {
      const known = this.#letters.get(replayed);
      if (known !== undefined) known.letter = { ...known.letter, replayedAtMs: record.timestampMs };
      return;
    }
    const letter = letterOf(record);
    if (letter === undefined) this.foreign++;
    else this.#letters.set(letter.position, { letter, record });
  }

  letters(): readonly DeadLetter[] {
    return [...this.#letters.values()].map(({ letter }) => letter);
  }

  /** The record as it was, for its topic. Throws SIGHTLINE_USAGE for one that is not there. */
  toReplay(position: string): RecordToReplay {
    const known = this.#letters.get(position);
    if (known === undefined) throw new AppError('SIGHTLINE_USAGE', `no dead letter stood at ${position}`);
    const { letter, record } = known;
    if (letter.blocked !== null) throw new AppError('SIGHTLINE_USAGE', `${position}: ${letter.blocked}`);
    const headers = Object.fromEntries(Object.entries(record.headers).filter(([name]) => !addedHeaders.includes(name)));
    return {
      ...{ topic: letter.topic, key: letter.key, value: record.value },
      headers: { ...headers, [replaysHeader]: String(letter.replays + 1) },
    };
  }
}

/** The headers of the note that a letter was written back; its value is null. */
export function replayedNote(position: string): Headers {
  return { [replayedHeader]: position };
}

function letterOf({ key, value, headers, timestampMs }: DeadLetterRecord): DeadLetter | undefined {
  const [topic, partition, offset] = ['topic', 'partition', 'offset'].map((name) => text(headers[`sightline-${name}`]));
  if (topic === undefined || partition === undefined || offset === undefined) return undefined;
  const position = `${topic}/${partition}/${offset}`;
  return {
    ...{ position, topic, partition: Number(partition), offset, key: key ?? '' },
    reasonCode: text(headers['sightline-reason-code']) ?? 'UNKNOWN',
    reason: text(headers['sightline-reason']) ?? '',
    group: text(headers['sightline-group']) ?? '',
    writtenAtMs: Number(text(headers['sightline-timestamp-ms']) ?? timestampMs),
    failedAtMs: timestampMs,
    valueBytes: value?.byteLength ?? 0,
    replays: Number(text(headers[replaysHeader]) ?? 0),
    replayedAtMs: null,
    // What has no key was given its position for one.
    blocked: key === position ? 'the record has no key, and would come here again' : null,
  };
}

function text(header: string | Buffer | undefined): string | undefined {
  return header?.toString();
}
