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

export interface DeadLetterListOptions {
  /** Which letters are wanted; all without it. */
  readonly keeps?: (letter: DeadLetter) => boolean;
  /** Letters that are held. A broken producer can fill the topic with millions. */
  readonly most: number;
  /** Which of them where there are more. */
  readonly whenFull: 'keep-newest' | 'keep-oldest';
}

/**
 * The letters of the topic in its order, each with the note that it was written back where there is one. Read the topic twice: notes stand
 * behind their letters, and have to be known before. Values are not held.
 */
export class DeadLetterList {
  readonly #options: DeadLetterListOptions;
  readonly #replayedAtMs = new Map<string, number>();
  readonly #letters = new Map<string, DeadLetter>();
  /** Records that are no letters of ours. */
  foreign = 0;
  /** Letters that are wanted and did not fit. */
  leftOut = 0;

  constructor(options: DeadLetterListOptions) {
    this.#options = options;
  }

  /** First of all records. */
  addNote({ headers, timestampMs }: DeadLetterRecord): void {
    const position = text(headers[replayedHeader]);
    if (position !== undefined) this.#replayedAtMs.set(position, timestampMs);
  }

  /** Then of all records. */
  add(record: DeadLetterRecord): void {
    if (record.headers[replayedHeader] !== undefined) return;
    const letter = letterOf(record);
    if (letter === undefined) {
      this.foreign++;
      return;
    }
    const { keeps, most, whenFull } = this.#options;
    const known = { ...letter, replayedAtMs: this.#replayedAtMs.get(letter.position) ?? null };
    if (keeps?.(known) === false) return;
    if (this.#letters.size >= most && !this.#letters.has(letter.position)) {
      this.leftOut++;
      if (whenFull === 'keep-oldest') return;
      const [oldest] = this.#letters.keys();
      if (oldest !== undefined) this.#letters.delete(oldest);
    }
    this.#letters.set(letter.position, known);
  }

  letters(): readonly DeadLetter[] {
    return [...this.#letters.values()];
  }
}

/** The position of a letter and the record as it was, for its topic; undefined for what is no letter, or one that is blocked. */
export function toReplay(record: DeadLetterRecord): { position: string; record: RecordToReplay } | undefined {
  const letter = record.headers[replayedHeader] === undefined ? letterOf(record) : undefined;
  if (letter?.blocked !== null) return undefined;
  const headers = Object.fromEntries(Object.entries(record.headers).filter(([name]) => !addedHeaders.includes(name)));
  return {
    position: letter.position,
    record: {
      ...{ topic: letter.topic, key: letter.key, value: record.value },
      headers: { ...headers, [replaysHeader]: String(letter.replays + 1) },
    },
  };
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
