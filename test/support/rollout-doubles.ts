import type { ModelRef, RolloutCommand, RolloutState } from '#shared/core/rollout/rollout-state';
import { applyStep, planStep } from '#shared/core/rollout/rollout-state';

/** A version whose digest is its name and version, in hexadecimal. */
export function makeModelRef(name: string, version = '1'): ModelRef {
  return { name, version, digest: Buffer.from(`${name}@${version}`).toString('hex').padEnd(64, '0').slice(0, 64) };
}

export function makeCommand(action: RolloutCommand['action'], rest: Partial<RolloutCommand> = {}): RolloutCommand {
  return { action, by: 'tester', ...rest };
}

/** The state that these commands, one after another, come to. */
export function rolledTo(state: RolloutState, ...commands: readonly RolloutCommand[]): RolloutState {
  return commands.reduce(
    (before, command) => applyStep(before, planStep(before, command, { timeUs: before.revision + 1 })),
    state,
  );
}
