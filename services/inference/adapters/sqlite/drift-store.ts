import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { DriftState } from '#schemas';
import { AppError } from '#shared/core/errors';

/** What is known of cameras for finding drift, beyond the process. */
export interface DriftStore {
  load(): readonly DriftState[];
  save(states: readonly DriftState[]): void;
  close(): void;
}

const busyTimeoutMs = 2_000;
/** A camera that was away for longer begins anew. */
const keptMs = 30 * 24 * 3_600_000;

/** In a SQLite file. Throws SIGHTLINE_STATE_DIR_UNUSABLE. */
export function openDriftStore({ path, nowMs }: { readonly path: string; readonly nowMs: () => number }): DriftStore {
  const attempt = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      throw new AppError('SIGHTLINE_STATE_DIR_UNUSABLE', `what is known of drift in ${path} cannot be kept`, { cause });
    }
  };
  const database = attempt(() => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const opened = new DatabaseSync(path, { timeout: busyTimeoutMs });
    try {
      // Worth no wait for the disk: a power cut takes a part of a window away.
      opened.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
        CREATE TABLE IF NOT EXISTS drift (camera_id TEXT PRIMARY KEY, time_us INTEGER NOT NULL, state TEXT NOT NULL) STRICT, WITHOUT ROWID;`);
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  });
  const [forget, all, keep] = [
    database.prepare('DELETE FROM drift WHERE time_us < ?'),
    database.prepare('SELECT state FROM drift'),
    database.prepare('INSERT OR REPLACE INTO drift VALUES (?, ?, ?)'),
  ];
  let isClosed = false;
  return {
    load: () =>
      attempt(() => {
        forget.run((nowMs() - keptMs) * 1000);
        return all.all().map(({ state }) => JSON.parse(String(state)) as DriftState); // written by `save` below
      }),
    save: (states) =>
      attempt(() => {
        if (states.length === 0) return;
        database.exec('BEGIN');
        try {
          for (const state of states) keep.run(state.camera_id, state.time, JSON.stringify(state));
          database.exec('COMMIT');
        } catch (error) {
          database.exec('ROLLBACK');
          throw error;
        }
      }),
    close() {
      if (!isClosed) database.close();
      isClosed = true;
    },
  };
}
