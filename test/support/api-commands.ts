import { Command } from 'commander';
import { vi } from 'vitest';
import { registerAuditCommands } from '../../cli/commands/audit.ts';
import { registerCameraCommands } from '../../cli/commands/camera.ts';
import { registerEventsCommands } from '../../cli/commands/events.ts';
import { registerStatusCommand } from '../../cli/commands/status.ts';
import { registerTokenCommands } from '../../cli/commands/token.ts';
import { toAppError, type AppError } from '#shared/core/errors';

export interface CommandOutcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly error: AppError | undefined;
  readonly exitCode: number | undefined;
}

/** Runs a command that speaks to the API within this process, as `sightline` would; one that never ends is interrupted when it has printed a text. */
export async function runApiCommand(args: readonly string[], interruptAfter?: string): Promise<CommandOutcome> {
  const program = new Command('sightline').exitOverride().configureOutput({ outputError: () => undefined });
  registerAuditCommands(program);
  registerCameraCommands(program);
  registerEventsCommands(program);
  registerStatusCommand(program);
  registerTokenCommands(program);
  const told = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text, ...rest) => {
      told[name] += String(text);
      if (interruptAfter !== undefined && told[name].includes(interruptAfter)) process.emit('SIGINT');
      const done = rest.find((one) => typeof one === 'function');
      done?.();
      return true;
    }),
  );
  const before = process.exitCode;
  try {
    const error = await program.parseAsync([...args], { from: 'user' }).then(() => undefined, toAppError);
    const exitCode = error?.exitCode ?? (process.exitCode === undefined ? undefined : Number(process.exitCode));
    return { ...told, error, exitCode };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
  }
}
