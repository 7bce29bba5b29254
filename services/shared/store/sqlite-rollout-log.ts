import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '#shared/core/errors';
import type { RolloutStep } from '#shared/core/rollout/rollout-state';
import { rolloutChanged, type RolloutLog } from '#shared/core/rollout/rollout-log';
import { attempt } from './sqlite-attempt.ts';

const busyTimeoutMs = 2_000;
const fileName = 'models.sqlite';

/** Where the steps are kept within a state folder. */
export function rolloutLogPath(stateDir: string): string {
  return join(stateDir, fileName);
}

/**
 * Steps of roll-outs in a SQLite file of the state folder; the table refuses changes and deletions. Throws SIGHTLINE_STATE_DIR_UNUSABLE.
 * Steps of other processes are seen when the log is opened; a run is told by its API.
 */
export function createSqliteRolloutLog(stateDir: string): RolloutLog {
  const path = rolloutLogPath(stateDir);
  const steps: RolloutStep[] = [];
  const listeners = new Set<(step: RolloutStep) => void>();
  let database: import('node:sqlite').DatabaseSync | undefined;

  return {
    async open() {
      if (database !== undefined) return;
      const { DatabaseSync } = await import('node:sqlite');
      database = await attempt(path, async () => {
        await mkdir(stateDir, { recursive: true, mode: 0o700 });
        const opened = new DatabaseSync(path, { timeout: busyTimeoutMs });
        try {
          opened.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS rollout_steps (revision INTEGER PRIMARY KEY, step TEXT NOT NULL) STRICT;
            CREATE TRIGGER IF NOT EXISTS steps_keep BEFORE UPDATE ON rollout_steps BEGIN SELECT RAISE(ABORT, 'steps are append-only'); END;
            CREATE TRIGGER IF NOT EXISTS steps_stay BEFORE DELETE ON rollout_steps BEGIN SELECT RAISE(ABORT, 'steps are append-only'); END;`);
          for (const { step } of opened.prepare('SELECT step FROM rollout_steps ORDER BY revision').all())
            steps.push(JSON.parse(String(step)) as RolloutStep); // written by `append` below
        } catch (error) {
          opened.close();
          throw error;
        }
        return opened;
      });
    },
    steps: () => steps,
    async append(step) {
      const open = database;
      if (open === undefined) throw new AppError('SIGHTLINE_INTERNAL', 'the log of roll-outs is not open');
      const kept = await attempt(path, () =>
        open.prepare('INSERT OR IGNORE INTO rollout_steps VALUES (?, ?)').run(step.revision, JSON.stringify(step)),
      );
      if (Number(kept.changes) === 0) throw rolloutChanged(step.revision);
      steps.push(step);
      for (const listener of listeners) listener(step);
    },
    watch(listener) {
      const own = (step: RolloutStep): void => listener(step);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    close() {
      database?.close();
      database = undefined;
      listeners.clear();
      return Promise.resolve();
    },
  };
}
