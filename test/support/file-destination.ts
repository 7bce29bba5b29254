import { parseDestination, type FileDestination } from '../../services/results/core/destination.ts';

/** A destination that is no Kafka. */
export function fileDestination(text: string): FileDestination {
  const destination = parseDestination(text);
  if (destination.kind === 'kafka') throw new Error(`${text} is not a place for files`);
  return destination;
}
