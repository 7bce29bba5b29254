import type { Logger } from '#shared/core/logger';
import type { Metrics } from '#shared/core/metrics';
import type { DriftChange, DriftWatch } from '../../services/inference/drift-watch.ts';

/** By the setting drift_window_hours. Runs that read files to their end are too short for it. */
export async function openDriftWatch(options: {
  readonly windowHours: number;
  readonly onChange?: (change: DriftChange) => void;
  readonly logger: Logger;
  readonly metrics: Metrics;
}): Promise<DriftWatch | undefined> {
  const { windowHours, ...rest } = options;
  if (windowHours === 0) return undefined;
  const { createDriftWatch } = await import('../../services/inference/drift-watch.ts');
  return createDriftWatch({ windowMs: windowHours * 3_600_000, ...rest });
}
