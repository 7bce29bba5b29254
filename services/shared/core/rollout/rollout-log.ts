import { AppError } from '../errors.ts';
import type { RolloutStep } from './rollout-state.ts';

/** All steps of all roll-outs, in order, for ever. Nothing is changed or taken out. */
export interface RolloutLog {
  /** Resolves when what is kept can be read. */
  open(): Promise<void>;
  /** All steps so far, oldest first. */
  steps(): readonly RolloutStep[];
  /** Reads what other processes have appended, where that is not told by itself. */
  refresh(): Promise<void>;
  /** Resolves when the step is kept. Throws SIGHTLINE_ROLLOUT_CHANGED where another step has its revision. */
  append(step: RolloutStep): Promise<void>;
  /** Calls `listener` for each step that is kept from now on, also one of another process. Returns what ends it. */
  watch(listener: (step: RolloutStep) => void): () => void;
  /** May be called twice. */
  close(): Promise<void>;
}

/** Who makes the steps that a start makes by itself. */
export const startName = 'start';

export function rolloutChanged(revision: number): AppError {
  return new AppError('SIGHTLINE_ROLLOUT_CHANGED', `step ${revision} was made by somebody else meanwhile`, {
    retryable: true,
  });
}

/** In memory: for a run that keeps nothing, and for tests. */
export function createMemoryRolloutLog(): RolloutLog {
  const steps: RolloutStep[] = [];
  const listeners = new Set<(step: RolloutStep) => void>();
  return {
    open: () => Promise.resolve(),
    steps: () => steps,
    refresh: () => Promise.resolve(),
    append(step) {
      if (step.revision !== steps.length + 1) return Promise.reject(rolloutChanged(step.revision));
      steps.push(step);
      for (const listener of listeners) listener(step);
      return Promise.resolve();
    },
    watch(listener) {
      const own = (step: RolloutStep): void => listener(step);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    close() {
      listeners.clear();
      return Promise.resolve();
    },
  };
}
