import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { AppError } from '#shared/core/errors';
import { readPassword } from '../run/camera-specs.ts';
import { passwordVariable } from './camera-flags.ts';

/** The password of a camera: from a file, the environment, or whoever sits at the terminal. Never from an argument, which others can read. */
export async function passwordFor(what: string, file: string | undefined): Promise<string> {
  if (file !== undefined) return readPassword(what, file);
  const given = process.env[passwordVariable];
  if (given !== undefined) return given;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new AppError('SIGHTLINE_USAGE', `the password of ${what} is missing`, {
      action: `Give --password-file, set ${passwordVariable}, or run it at a terminal, where it asks.`,
    });
  }
  process.stderr.write(`password of ${what}: `);
  // What is typed is echoed to nobody.
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await terminal.question('');
  } finally {
    terminal.close();
    process.stderr.write('\n');
  }
}
