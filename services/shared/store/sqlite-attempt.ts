import { setTimeout as wait } from 'node:timers/promises';
import { AppError } from '#shared/core/errors';

const attempts = 5;
/** SQLITE_BUSY and SQLITE_LOCKED; the low byte, for extended codes stand above it. */
const busyCodes = [5, 6];

/** Works on a SQLite file that others work on too: waits a little where it is locked. Throws SIGHTLINE_STATE_DIR_UNUSABLE; what is ours passes. */
export async function attempt<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      if (count >= attempts || !isBusy(cause)) {
        throw new AppError('SIGHTLINE_STATE_DIR_UNUSABLE', `the state in ${path} cannot be written`, {
          cause,
          retryable: isBusy(cause),
        });
      }
      await wait(20 * 2 ** count);
    }
  }
}

function isBusy(error: unknown): boolean {
  return (
    error instanceof Error &&
    'errcode' in error &&
    typeof error.errcode === 'number' &&
    busyCodes.includes(error.errcode & 0xff)
  );
}
