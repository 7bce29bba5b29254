import { setTimeout as wait } from 'node:timers/promises';

import type { Clock } from '#shared/core/clock';

export const systemClock: Clock = {
  nowUs: () => Date.now() * 1000,
  monotonicMs: () => performance.now(),
  sleep: async (delayMs, signal) => {
    try {
      await wait(delayMs, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) });
    } catch (error) {
      // Node rejects with its own AbortError; callers asked for the reason they gave.
      signal?.throwIfAborted();
      throw error;
    }
  },
};
