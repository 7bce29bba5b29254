/** The `sightline results` commands alone, as the command line runs them. */
import { Command } from 'commander';
import { toAppError } from '#shared/core/errors';
import { registerResultsCommands } from '../../cli/commands/results.ts';

const program = new Command('sightline');
registerResultsCommands(program);
try {
  await program.parseAsync(process.argv);
} catch (error) {
  const { code, message, exitCode } = toAppError(error);
  process.stderr.write(`${code}: ${message}\n`);
  process.exitCode = exitCode;
}
