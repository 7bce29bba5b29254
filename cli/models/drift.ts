import { join } from 'node:path';
import type { Clock } from '#shared/core/clock';
import { toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { Metrics } from '#shared/core/metrics';
import type { DriftStore } from '../../services/inference/adapters/sqlite/drift-store.ts';
import type { DriftChange, DriftWatch } from '../../services/inference/drift-watch.ts';

interface DriftOptions {
  readonly windowHours: number;
  readonly onChange?: (change: DriftChange) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** By the setting drift_window_hours. Runs that read files to their end are too short for it. */
export async function openDriftWatch({ windowHours, ...rest }: DriftOptions): Promise<DriftWatch | undefined> {
  if (windowHours === 0) return undefined;
  const { createDriftWatch } = await import('../../services/inference/drift-watch.ts');
  return createDriftWatch({ windowMs: windowHours * 3_600_000, ...rest });
}

export interface KeptDriftWatch extends Pick<DriftWatch, 'add'> {
  /** Keeps all that is known. */
  close(): void;
}

/** With what is known kept in the state folder, so that a start does not begin anew. */
export async function openKeptDriftWatch(
  options: DriftOptions & { readonly stateDir: string },
): Promise<KeptDriftWatch | undefined> {
  const { logger, stateDir, clock } = options;
  const watch = await openDriftWatch(options);
  if (watch === undefined) return undefined;
  let store: DriftStore | undefined;
  /** That it cannot be kept is told once and holds nobody up: results are what the pipeline is for. */
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (thrown) {
      const { code, message } = toAppError(thrown);
      logger.warn({ code, reason: message }, 'drift is followed in memory only');
      store = undefined;
    }
  };
  const { openDriftStore } = await import('../../services/inference/adapters/sqlite/drift-store.ts');
  const path = join(stateDir, 'drift.sqlite');
  attempt(() => {
    store = openDriftStore({ path, nowMs: () => clock.nowUs() / 1000 });
    watch.restore(store.load());
  });
  return {
    add(seen) {
      watch.add(seen);
      const state = watch.due(seen.cameraId);
      if (state !== undefined) attempt(() => store?.save([state]));
    },
    close() {
      attempt(() => store?.save(watch.states()));
      store?.close();
      store = undefined;
    },
  };
}
