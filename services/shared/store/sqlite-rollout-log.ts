import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
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
 * Steps of other processes are seen by `refresh`.
 */
export function createSqliteRolloutLog(stateDir: string): RolloutLog {
  const path = rolloutLogPath(stateDir);
  const steps: RolloutStep[] = [];
  const listeners = new Set<(step: RolloutStep) => void>();
  let database: DatabaseSync | undefined;

  function keep(step: RolloutStep): void {
    // `refresh` and `append` may both have come upon it.
    if (step.revision !== steps.length + 1) return;
    steps.push(step);
    for (const listener of listeners) listener(step);
  }

  async function readNew(): Promise<void> {
    const open = database;
    if (open === undefined) return;
    const query = 'SELECT step FROM rollout_steps WHERE revision > ? ORDER BY revision';
    const rows = await attempt(path, () => open.prepare(query).all(steps.length));
    for (const { step } of rows) keep(JSON.parse(String(step)) as RolloutStep); // written by `append` below
  }

  return {
    async open() {
      if (database !== undefined) return;
      // Loaded here: it costs start-up time where it is not used.
      const sqlite = await import('node:sqlite');
      database = await attempt(path, async () => {
        await mkdir(stateDir, { recursive: true, mode: 0o700 });
        const opened = new sqlite.DatabaseSync(path, { timeout: busyTimeoutMs });
        try {
          opened.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS rollout_steps (revision INTEGER PRIMARY KEY, step TEXT NOT NULL) STRICT;
            CREATE TRIGGER IF NOT EXISTS steps_keep BEFORE UPDATE ON rollout_steps BEGIN SELECT RAISE(ABORT, 'steps are append-only'); END;
            CREATE TRIGGER IF NOT EXISTS steps_stay BEFORE DELETE ON rollout_steps BEGIN SELECT RAISE(ABORT, 'steps are append-only'); END;`);
        } catch (error) {
          opened.close();
          throw error;
        }
        return opened;
      });
      await readNew();
    },
    steps: () => steps,
    refresh: readNew,
    async append(step) {
      const open = database;
      if (open === undefined) throw new AppError('SIGHTLINE_INTERNAL', 'the log of roll-outs is not open');
      if (step.revision > steps.length + 1) throw rolloutChanged(step.revision);
      const kept = await attempt(path, () =>
        open.prepare('INSERT OR IGNORE INTO rollout_steps VALUES (?, ?)').run(step.revision, JSON.stringify(step)),
      );
      if (Number(kept.changes) === 0) {
        await readNew();
        throw rolloutChanged(step.revision);
      }
      keep(step);
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
