import {
  replayedNote,
  toReplay,
  type DeadLetter,
  type DeadLetterRecord,
  type RecordToReplay,
} from '#shared/core/dead-letter';
import { AppError } from '#shared/core/errors';

export interface DeadLetterFilter {
  /** Any of these. */
  readonly reasons?: readonly string[];
  readonly key?: string;
}

export interface ReplayRequest extends DeadLetterFilter {
  /** `topic/partition/offset` of each; none with `all`. */
  readonly positions: readonly string[];
  readonly all: boolean;
  /** Also those that were written back before. */
  readonly again: boolean;
}

export interface ReplayPorts {
  /** Writes a record back to its topic. */
  readonly publish: (record: RecordToReplay) => Promise<void>;
  /** Writes the note that a letter was written back. */
  readonly note: (position: string, headers: ReturnType<typeof replayedNote>) => Promise<void>;
}

/** A page of a terminal's memory, and 30 MB of ours. */
export const mostLettersListed = 10_000;
/** At once; the rest by the same command again. */
export const mostLettersReplayed = 100_000;

/** Whether a filter wants a letter. */
export function wants({ reasons, key }: DeadLetterFilter): (letter: DeadLetter) => boolean {
  return (letter) =>
    (reasons === undefined || reasons.includes(letter.reasonCode)) && (key === undefined || key === letter.key);
}

/** Which letters have to be read for a request. Throws SIGHTLINE_USAGE where it means none. */
export function wantsToReplay(request: ReplayRequest): (letter: DeadLetter) => boolean {
  const { positions, all, again } = request;
  if (all === positions.length > 0) throw new AppError('SIGHTLINE_USAGE', 'give positions, or --all');
  if (!all) return ({ position }) => positions.includes(position);
  const isWanted = wants(request);
  return (letter) => isWanted(letter) && letter.blocked === null && (again || letter.replayedAtMs === null);
}

/** The letters that a request means, of those that were read for it. Throws SIGHTLINE_USAGE for a position that is not there, or that was written back already. */
export function chooseLetters(letters: readonly DeadLetter[], request: ReplayRequest): readonly DeadLetter[] {
  for (const position of request.positions) {
    const letter = letters.find((one) => one.position === position);
    if (letter === undefined) throw new AppError('SIGHTLINE_USAGE', `no dead letter stood at ${position}`);
    if (letter.blocked !== null) throw new AppError('SIGHTLINE_USAGE', `${position}: ${letter.blocked}`);
    if (letter.replayedAtMs !== null && !request.again) {
      throw new AppError('SIGHTLINE_USAGE', `${position} was written back already; --again does it once more`);
    }
  }
  return letters;
}

/**
 * Writes the letters back one after the other in the order of the topic, so that the order of a camera stays; each is noted when its topic
 * has it. `records` are those of the topic, once more: their values are not held.
 */
export async function replayLetters(
  letters: readonly DeadLetter[],
  records: AsyncIterable<DeadLetterRecord>,
  { publish, note }: ReplayPorts,
): Promise<number> {
  const waiting = new Set(letters.map(({ position }) => position));
  let count = 0;
  for await (const found of records) {
    const letter = toReplay(found);
    if (letter === undefined || !waiting.delete(letter.position)) continue;
    await publish(letter.record);
    // Ended between the two, the record may be written back twice: readers leave out what comes again.
    await note(letter.position, replayedNote(letter.position));
    count++;
    if (waiting.size === 0) break;
  }
  return count;
}
