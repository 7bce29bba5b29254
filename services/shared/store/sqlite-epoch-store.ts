import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { AppError } from '#shared/core/errors';
import type { EpochStore } from '#shared/core/epoch-store';

const busyTimeoutMs = 2_000;
const attempts = 5;
/** SQLITE_BUSY and SQLITE_LOCKED; the low byte, for extended codes stand above it. */
const busyCodes = [5, 6];

/**
 * Epochs in a SQLite file, safe between processes and across kills: an epoch is on the disk before it is given out.
 * Throws SIGHTLINE_STATE_DIR_UNUSABLE where the folder cannot be written.
 */
export async function openSqliteEpochStore(stateDir: string): Promise<EpochStore> {
  // Loaded here: the module prints a warning on some versions of Node and costs start-up time where it is not used.
  const { DatabaseSync } = await import('node:sqlite');
  const path = join(stateDir, 'epochs.sqlite');
  const database = await attempt(path, async () => {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    const opened = new DatabaseSync(path, { timeout: busyTimeoutMs });
    try {
      opened.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      opened.exec(
        'CREATE TABLE IF NOT EXISTS epochs (camera_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID',
      );
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  });
  // One statement, so one transaction: two processes never read the same epoch before either wrote.
  const increment = database.prepare(
    'INSERT INTO epochs (camera_id, epoch) VALUES (?, 1) ON CONFLICT (camera_id) DO UPDATE SET epoch = epoch + 1 RETURNING epoch',
  );
  let isClosed = false;
  return {
    next: (cameraId) =>
      attempt(path, async () => {
        const epoch = increment.get(cameraId)?.['epoch'];
        if (typeof epoch !== 'number') throw new TypeError('the epoch store gave no epoch');
        return epoch;
      }),
    close() {
      if (!isClosed) database.close();
      isClosed = true;
      return Promise.resolve();
    },
  };
}

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await work();
    } catch (cause) {
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
