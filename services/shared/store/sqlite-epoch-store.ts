import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EpochStore } from '#shared/core/epoch-store';
import { attempt } from './sqlite-attempt.ts';

const busyTimeoutMs = 2_000;

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
