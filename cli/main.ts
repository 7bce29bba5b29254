import { Command, CommanderError } from 'commander';

import { AppError } from '#shared/core/errors';
import { packageVersion } from '#shared/runtime/package-version';

import { exitQuietlyOnClosedOutput, failureText } from './failure-text.ts';

interface CommandEntry {
  readonly name: string;
  readonly description: string;
  /** Loads the command's code and declares it in full; only done for the one that is run, since start-up is paid for in CPU at each run. */
  readonly declare: (program: Command) => Promise<void>;
}

const commands: readonly CommandEntry[] = [
  {
    name: 'run',
    description: 'turn cameras and video files into results',
    declare: async (program) => (await import('./commands/run.ts')).registerRunCommand(program),
  },
  {
    name: 'service',
    description: 'run one part of the pipeline as a process of its own, with Kafka between the parts',
    declare: async (program) => (await import('./commands/service.ts')).registerServiceCommands(program),
  },
  {
    name: 'camera',
    description: 'register, change, list and try cameras',
    declare: async (program) => (await import('./commands/camera.ts')).registerCameraCommands(program),
  },
  {
    name: 'status',
    description: 'cameras and load, as a table that follows',
    declare: async (program) => (await import('./commands/status.ts')).registerStatusCommand(program),
  },
  {
    name: 'results',
    description: 'read results, prove that no frame is missing, and sum them up',
    declare: async (program) => (await import('./commands/results.ts')).registerResultsCommands(program),
  },
  {
    name: 'events',
    description: 'what happened to cameras and models: list it, follow it',
    declare: async (program) => (await import('./commands/events.ts')).registerEventsCommands(program),
  },
  {
    name: 'dead-letters',
    description: 'records that a service could not read: list them, write them back',
    declare: async (program) => (await import('./commands/dead-letters.ts')).registerDeadLetterCommands(program),
  },
  {
    name: 'models',
    description: 'fetch, add, list, check, measure and time models',
    declare: async (program) => (await import('./commands/models.ts')).registerModelsCommands(program),
  },
  {
    name: 'token',
    description: 'make, list and revoke tokens of the API',
    declare: async (program) => (await import('./commands/token.ts')).registerTokenCommands(program),
  },
  {
    name: 'audit',
    description: 'who did what: print, check and export the log',
    declare: async (program) => (await import('./commands/audit.ts')).registerAuditCommands(program),
  },
  {
    name: 'doctor',
    description: 'say what this machine lacks, and the command that mends it',
    declare: async (program) => (await import('./commands/doctor.ts')).registerDoctorCommand(program),
  },
  {
    name: 'completion',
    description: 'print a script that completes commands and options in a shell',
    declare: async (program) =>
      (await import('./commands/completion.ts')).registerCompletionCommand(program, declareAll),
  },
];

const examples = `
Examples:
  $ sightline run --camera front=rtsp://user:password@10.0.0.9/stream --results results/
  $ sightline run --camera clip=door.mp4 --until-end --results door.avro --summary door.json
  $ sightline camera probe rtsp://10.0.0.9/stream
  $ sightline camera add front=rtsp://10.0.0.9/stream
  $ sightline status
  $ sightline results verify door.avro
  $ sightline doctor

\`sightline COMMAND --help\` tells more. Exit codes: 0 it worked, 1 the check found something, 2 wrong use or setting,
3 the input cannot be used, 4 something is missing on this machine, 70 a fault of ours.
`;

/** Runs one command and ends the process with its exit code. */
export async function main(args: readonly string[]): Promise<void> {
  exitQuietlyOnClosedOutput();
  try {
    const { program, args: toParse } = await createProgram(args);
    await program.parseAsync(toParse, { from: 'user' });
  } catch (thrown) {
    process.exitCode = report(thrown, args);
  }
  // Pipes and files are written synchronously, so nothing is lost; and a handle that somebody forgot cannot keep a finished command alive.
  process.exit();
}

function newProgram(): Command {
  return (
    new Command('sightline')
      .description('Camera streams in, typed Avro results out.')
      .version(packageVersion, '-V, --version', 'print the version')
      .helpOption('-h, --help', 'print this help')
      .addHelpText('after', examples)
      .showSuggestionAfterError()
      .exitOverride()
      // Wrong use is told by `report`, in the form that every other error has.
      .configureOutput({ outputError: () => undefined })
  );
}

async function declareAll(): Promise<Command> {
  const program = newProgram();
  for (const { declare } of commands) await declare(program);
  return program;
}

async function createProgram(args: readonly string[]): Promise<{ program: Command; args: readonly string[] }> {
  const program = newProgram();
  // `help run` is `run --help`.
  const asked = args[0] === 'help' && args[1] !== undefined ? [args[1], '--help'] : args;
  const chosen = commands.find(({ name }) => name === asked[0]);
  if (chosen !== undefined) {
    await chosen.declare(program);
  } else {
    for (const { name, description } of commands) program.command(name).description(description);
  }
  return { program, args: asked };
}

function report(thrown: unknown, args: readonly string[]): number {
  if (thrown instanceof CommanderError) {
    if (thrown.exitCode === 0) return 0;
    // Help that was shown because no command was given.
    if (thrown.code === 'commander.help') return 2;
  }
  const failure = failureText(thrown instanceof CommanderError ? usageError(thrown) : thrown, {
    asJson: args.includes('--json'),
    withStack: process.env['SIGHTLINE_DEBUG'] === '1',
  });
  process.stderr.write(failure.text);
  return failure.exitCode;
}

function usageError(error: CommanderError): AppError {
  return new AppError('SIGHTLINE_USAGE', error.message.replace(/^error: /, '').replaceAll('\n', ' '));
}
