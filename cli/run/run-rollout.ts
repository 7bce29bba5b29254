import { existsSync } from 'node:fs';
import type { RolloutController, RolloutControllerOptions } from '#shared/core/rollout/rollout-controller';
import { startName, type RolloutLog } from '#shared/core/rollout/rollout-log';
import { applyStep, initialRollout, modelKey } from '#shared/core/rollout/rollout-state';
import { createSqliteRolloutLog, rolloutLogPath } from '#shared/store/sqlite-rollout-log';
import type { ModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { chooseModel, type ChosenModel } from '../models/chosen-model.ts';

export interface RunRollout {
  /** The model that the run starts with. */
  readonly chosen: ChosenModel;
  /** Absent where the run has nothing to do with roll-outs: it reads files to their end, and a model was named or never rolled out. */
  readonly log: RolloutLog | undefined;
}

/**
 * What somebody chose by a step holds over the default; a model that is named for this run holds over both. What a start chose by itself binds
 * no later start.
 */
export async function openRunRollout(
  library: ModelLibrary,
  { setting, stateDir, isServed }: { readonly setting: string; readonly stateDir: string; readonly isServed: boolean },
): Promise<RunRollout> {
  const isNamed = setting !== 'auto';
  if (!isServed && (isNamed || !existsSync(rolloutLogPath(stateDir))))
    return { chosen: await chooseModel(library, setting), log: undefined };
  const log = createSqliteRolloutLog(stateDir);
  await log.open();
  const { active, versions } = log.steps().reduce(applyStep, initialRollout);
  const isChosen = active !== null && versions.get(modelKey(active))?.step.by !== startName;
  if (isNamed || !isChosen) return { chosen: await chooseModel(library, setting), log };
  return { chosen: { nameOrPath: modelKey(active), reason: `${modelKey(active)} was activated on this machine` }, log };
}

/** Not opened yet. Loaded only by runs that have to do with roll-outs. */
export async function startRollouts(
  log: RolloutLog | undefined,
  options: Omit<RolloutControllerOptions, 'log'>,
): Promise<RolloutController | undefined> {
  if (log === undefined) return undefined;
  const { createRolloutController } = await import('#shared/core/rollout/rollout-controller');
  return createRolloutController({ ...options, log });
}
