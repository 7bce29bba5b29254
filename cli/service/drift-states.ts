import type { DriftState } from '#schemas';
import { toAppError } from '#shared/core/errors';
import type { ServiceConnection } from './service-connection.ts';

/**
 * What was kept last of the cameras of these partitions of frames. The topic has as many partitions and the same keys, so theirs stands in those of
 * the same number; where an operator gave it another number, all of it is read.
 */
export async function driftStates(
  { openReader, topics, serdes }: Pick<ServiceConnection, 'openReader' | 'topics' | 'serdes'>,
  partitions: readonly number[],
  framePartitions: number,
): Promise<readonly DriftState[]> {
  const { name } = topics.drift;
  const serde = serdes.serdeOf(name);
  const found = new Map<string, DriftState>();
  const reader = openReader();
  try {
    const whole = await reader.span(name, {});
    const isWanted = ({ partition }: { readonly partition: number }): boolean =>
      whole.partitions.length !== framePartitions || partitions.includes(partition);
    for await (const { records } of reader.read({ ...whole, partitions: whole.partitions.filter(isWanted) })) {
      for (const { key, value, headers } of records) {
        if (key === null) continue;
        if (value === null) {
          found.delete(key);
          continue;
        }
        try {
          // The serde of this topic gives records of its schema.
          const state = (await serde.decode({ key, value, headers })) as DriftState;
          if (state.camera_id === key) found.set(key, state);
        } catch (thrown) {
          // What somebody else wrote here says nothing about our cameras.
          if (toAppError(thrown).retryable) throw thrown;
        }
      }
    }
  } finally {
    await reader.close();
  }
  return [...found.values()];
}
