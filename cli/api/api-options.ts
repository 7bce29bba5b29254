import type { Command } from 'commander';
import { defaultApiUrl } from './api-address.ts';

export interface JsonFlag {
  readonly json?: true;
}

/** The options by which every command finds the API. */
export function withApi(command: Command): Command {
  return command
    .option('--url <url>', `where the API is (default: SIGHTLINE_API, else ${defaultApiUrl})`)
    .option('--token-file <file>', 'read the token from a file (default: SIGHTLINE_TOKEN, else what a run here left)');
}
