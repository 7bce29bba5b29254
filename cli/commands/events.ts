import type { Command } from 'commander';
import { withApi } from '../api/api-options.ts';
import { parseMoment } from '../results/time-range.ts';
import type { EventFlags } from '../events/event-actions.ts';
import { wholeNumber } from '../option-values.ts';

const kindHelp =
  'only these kinds or groups, with commas between: camera, registration, model, drift, camera.offline, …';

/** `sightline events list|tail`. */
export function registerEventsCommands(program: Command): void {
  const events = program.command('events').description('what happened: to cameras, their registrations, the models');

  withEvents(events.command('list'))
    .description('print what happened, newest first')
    .option('--until <time>', 'before this moment; as --since', moment)
    .option('-n, --limit <n>', 'at most so many; 0: all that are kept', wholeNumber, 50)
    .action(async (flags: EventFlags & { readonly until?: string; readonly limit: number }) => {
      await (await import('../events/event-actions.ts')).listEvents(flags);
    });

  withEvents(events.command('tail'))
    .description('print what happens, until it is interrupted; with --since what happened from then on first')
    .action(async (flags: EventFlags) => {
      await (await import('../events/event-actions.ts')).tailEvents(flags);
    });
}

function withEvents(command: Command): Command {
  return withApi(command)
    .option('--camera <name>', 'only of this camera')
    .option('--kind <kinds>', kindHelp)
    .option('--since <time>', 'from this moment on: 2026-11-23T06:00:00Z, or 10m, 2h, 1d for so long ago', moment)
    .option('--json', 'print JSON lines');
}

function moment(text: string): string {
  return new Date(parseMoment(text, Date.now())).toISOString();
}
