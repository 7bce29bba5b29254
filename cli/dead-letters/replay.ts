import { type DeadLetterList, replayedNote, type DeadLetter, type RecordToReplay } from '#shared/core/dead-letter';
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

export function filterLetters(letters: readonly DeadLetter[], { reasons, key }: DeadLetterFilter): DeadLetter[] {
  return letters.filter(
    (letter) =>
      (reasons === undefined || reasons.includes(letter.reasonCode)) && (key === undefined || key === letter.key),
  );
}

/** Which letters a request means. Throws SIGHTLINE_USAGE for a position that is not there, or that was written back already. */
export function chooseLetters(list: DeadLetterList, request: ReplayRequest): readonly DeadLetter[] {
  const { positions, all, again } = request;
  if (all === positions.length > 0) throw new AppError('SIGHTLINE_USAGE', 'give positions, or --all');
  const letters = list.letters();
  if (all) {
    return filterLetters(letters, request).filter(
      ({ blocked, replayedAtMs }) => blocked === null && (again || replayedAtMs === null),
    );
  }
  return positions.map((position) => {
    const letter = letters.find((one) => one.position === position);
    if (letter === undefined) throw new AppError('SIGHTLINE_USAGE', `no dead letter stood at ${position}`);
    if (letter.blocked !== null) throw new AppError('SIGHTLINE_USAGE', `${position}: ${letter.blocked}`);
    if (letter.replayedAtMs !== null && !again) {
      throw new AppError('SIGHTLINE_USAGE', `${position} was written back already; --again does it once more`);
    }
    return letter;
  });
}

/** Writes the letters back one after the other, so that the order of a camera stays; each is noted when its topic has it. */
export async function replayLetters(
  list: DeadLetterList,
  letters: readonly DeadLetter[],
  { publish, note }: ReplayPorts,
): Promise<number> {
  let count = 0;
  for (const { position } of letters) {
    await publish(list.toReplay(position));
    // Ended between the two, the record may be written back twice: readers leave out what comes again.
    await note(position, replayedNote(position));
    count++;
  }
  return count;
}
