/**
 * Every error code that a user can meet, in one place: docs/errors.md and the exit codes of the command line are held to it by a test.
 * `summary` says what happened, `action` what to do about it.
 */
export const errorCatalogue = {
  SIGHTLINE_USAGE: {
    exitCode: 2,
    summary: 'The command line could not be understood.',
    action: 'Run the command with --help and correct the option that the message names.',
  },
  SIGHTLINE_CONFIG_INVALID: {
    exitCode: 2,
    summary: 'A setting is missing, unknown or has a wrong value.',
    action: 'Correct the setting that the message names in the file, flag or environment variable it came from.',
  },
  SIGHTLINE_BUS_CLOSED: {
    exitCode: 70,
    summary: 'A message was offered to the bus after it was closed.',
    action: 'Report it with the log lines before it: a service went on after its shutdown.',
  },
  SIGHTLINE_INTERNAL: {
    exitCode: 70,
    summary: 'Something failed that Sightline does not foresee.',
    action: 'Report it with the message and the log lines before it.',
  },
} as const satisfies Record<string, ErrorEntry>;

/** What is known of one error code. Exit codes: 1 the check failed, 2 wrong use, 3 input not usable, 4 a needed thing is missing here, 70 a fault of ours. */
export interface ErrorEntry {
  readonly exitCode: 1 | 2 | 3 | 4 | 70;
  readonly summary: string;
  readonly action: string;
}

export type ErrorCode = keyof typeof errorCatalogue;
