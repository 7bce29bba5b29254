import { AppError } from '#shared/core/errors';

/** The positions of these partitions. One that the client left out of its answer is not one without a position: its records would be done again. */
export function positionsOf(
  partitions: readonly number[],
  found: ReadonlyMap<number, bigint | undefined>,
): ReadonlyMap<number, bigint | undefined> {
  const missing = partitions.filter((partition) => !found.has(partition));
  if (missing.length > 0) {
    const words = `no answer for the positions of partitions ${missing.join(', ')}`;
    throw new AppError('SIGHTLINE_KAFKA_FAILED', words, { retryable: true });
  }
  return new Map(partitions.map((partition) => [partition, found.get(partition)]));
}
