import type { EpochStore } from '#shared/core/epoch-store';

/** For tests and runs that leave nothing behind: its numbers begin anew with the process. */
export function createMemoryEpochStore(): EpochStore {
  const epochs = new Map<string, number>();
  return {
    next(cameraId) {
      const epoch = (epochs.get(cameraId) ?? 0) + 1;
      epochs.set(cameraId, epoch);
      return Promise.resolve(epoch);
    },
    close: () => Promise.resolve(),
  };
}
