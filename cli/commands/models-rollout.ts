import { InvalidArgumentError, type Command } from 'commander';
import type { RolloutAction } from '#shared/core/rollout/rollout-state';
import type { RolloutDesk, RolloutDeskFlags } from '../models/rollout-desk.ts';

interface StepFlags extends RolloutDeskFlags {
  readonly json?: true;
  readonly reason?: string;
  readonly force?: true;
  readonly share?: number;
  readonly cameras?: readonly string[];
  readonly minFrames?: number;
  readonly minObjects?: number;
  readonly maxErrorRate?: number;
  readonly maxLatencyRatio?: number;
  readonly minAgreement?: number;
  readonly maxDropIncrease?: number;
}

const steps: readonly { readonly action: RolloutAction; readonly about: string; readonly takesModel: boolean }[] = [
  { action: 'activate', about: 'make a version the active one at once, without a gate', takesModel: true },
  {
    action: 'shadow',
    about: 'run a version beside the active one on a share of the cameras and compare what they see',
    takesModel: true,
  },
  {
    action: 'canary',
    about: 'put a version to work on a share of the cameras; one that fails its gate is rolled back by itself',
    takesModel: true,
  },
  { action: 'promote', about: 'make the candidate the active model', takesModel: false },
  {
    action: 'rollback',
    about:
      'take the candidate away, or without one go back to the version before; with MODEL only where it is that one',
    takesModel: false,
  },
  { action: 'retire', about: 'take a version out of use for good', takesModel: true },
];

const placeHelp = `
A run that uses the same state folder is told at once (its address is in the folder); another one by --url and a token. Where none runs, the
step is kept for the next start.
`;

/** `sightline models show|history|activate|shadow|canary|promote|rollback|retire`. */
export function registerModelsRollout(models: Command): void {
  withPlace(models.command('show').description('what is active, what is tried beside it, and how the two agree'))
    .addHelpText('after', placeHelp)
    .action((flags: StepFlags) => withDesk(flags, (desk) => show(desk, flags)));
  withPlace(models.command('history').description('every step: what, when, who and why'))
    .option('--limit <n>', 'newest steps', number(1, 500), 100)
    .action((flags: StepFlags & { readonly limit: number }) =>
      withDesk(flags, async (desk) => {
        const history = await desk.history(flags.limit);
        print(flags.json === true ? `${JSON.stringify(history)}\n` : (await texts()).historyText(history));
      }),
    );
  for (const { action, about, takesModel } of steps) {
    const command = withPlace(models.command(action).description(about))
      .option('--reason <text>', 'why; kept in the history')
      .option('--force', 'also where the gate has not passed, or the version was retired');
    if (action === 'shadow' || action === 'canary') withCandidateOptions(command);
    command.addHelpText('after', placeHelp);
    if (takesModel) {
      command
        .argument('<model>', 'NAME, where there is one version of it, or NAME@VERSION')
        .action((model: string, flags: StepFlags) => withDesk(flags, (desk) => make(desk, action, model, flags)));
    } else {
      command
        .argument('[model]', 'NAME@VERSION, to be refused where it is not that one any more')
        .action((model: string | undefined, flags: StepFlags) =>
          withDesk(flags, (desk) => make(desk, action, model, flags)),
        );
    }
  }
}

function withPlace(command: Command): Command {
  return command
    .option('--url <url>', 'API of the pipeline (also SIGHTLINE_API)')
    .option('--token-file <file>', 'file that holds the token (also SIGHTLINE_TOKEN)')
    .option('--state-dir <dir>', 'state folder of the run (default: the one of this user)')
    .option('--models-dir <dir>', 'where models are looked for first, where no pipeline runs')
    .option('--offline', 'change what is on disk, for the next start')
    .option('--json', 'print JSON');
}

function withCandidateOptions(command: Command): void {
  command
    .option('--share <0..1>', 'of the cameras (default: 0.1)', number(0, 1))
    .option('--cameras <a,b>', 'these cameras instead of a share', (text) => text.split(',').map((id) => id.trim()))
    .option('--min-frames <n>', 'frames before it can pass (default: 200)', number(1, 1e7))
    .option('--min-objects <n>', 'objects before agreement counts (default: 50)', number(0, 1e7))
    .option('--max-error-rate <0..1>', 'failed frames (default: 0.01)', number(0, 1))
    .option('--max-latency-ratio <n>', 'p95 as a multiple of the active model (default: 1.5)', number(0.01, 1000))
    .option('--min-agreement <0..1>', 'with the active model; 0 asks for none (default: 0.75)', number(0, 1))
    .option('--max-drop-increase <0..1>', 'frames dropped above other cameras (default: 0.02)', number(0, 1));
}

async function withDesk(flags: RolloutDeskFlags, use: (desk: RolloutDesk) => Promise<void>): Promise<void> {
  const { openRolloutDesk } = await import('../models/rollout-desk.ts');
  const desk = await openRolloutDesk(flags, process.env);
  try {
    await use(desk);
  } finally {
    await desk.close();
  }
}

async function show(desk: RolloutDesk, flags: StepFlags): Promise<void> {
  const [rollout, models] = [await desk.rollout(), await desk.models()];
  print(
    flags.json === true ? `${JSON.stringify({ ...rollout, models })}\n` : (await texts()).rolloutText(rollout, models),
  );
}

async function make(
  desk: RolloutDesk,
  action: RolloutAction,
  model: string | undefined,
  flags: StepFlags,
): Promise<void> {
  const { share, cameras, reason } = flags;
  const step = await desk.make({
    action,
    ...(model === undefined ? {} : { model }),
    ...(share === undefined ? {} : { share }),
    ...(cameras === undefined ? {} : { cameras }),
    ...(reason === undefined ? {} : { reason }),
    force: flags.force === true,
    gate: withoutUndefined({
      min_frames: flags.minFrames,
      min_objects: flags.minObjects,
      max_error_rate: flags.maxErrorRate,
      max_latency_ratio: flags.maxLatencyRatio,
      min_agreement: flags.minAgreement,
      max_drop_increase: flags.maxDropIncrease,
    }),
  });
  const { revision, model: about } = step;
  print(
    flags.json === true
      ? `${JSON.stringify(step)}\n`
      : `step ${revision}: ${action} ${about.name}@${about.version} at ${desk.place}: ${step.reason}\n`,
  );
}

function texts() {
  return import('../models/rollout-text.ts');
}

function withoutUndefined(values: Readonly<Record<string, number | undefined>>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}

function number(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= most))
      throw new InvalidArgumentError(`It must be a number from ${least} to ${most}.`);
    return value;
  };
}

function print(text: string): void {
  process.stdout.write(text);
}
