import type { Command } from 'commander';
import type { ApiFlags } from '../api/api-address.ts';
import { withApi } from '../api/api-options.ts';
import { number } from '../option-values.ts';

interface StatusFlags extends ApiFlags {
  readonly once?: true;
  readonly json?: true;
  readonly interval: number;
}

/** `sightline status`. */
export function registerStatusCommand(program: Command): void {
  withApi(program.command('status'))
    .description('cameras and load, as a table that follows on a terminal until it is interrupted')
    .option('--once', 'print it once and end, which it also does where there is no terminal')
    .option('--interval <s>', 'seconds between two looks', number, 2)
    .option('--json', 'print one JSON object and end')
    .action(async (flags: StatusFlags) => {
      await (await import('../status/status.ts')).showStatus(flags);
    });
}
