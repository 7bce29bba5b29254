import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A folder for one command that is gone when the process ends. Ctrl-C in the middle leaves neither its files nor a tool that goes on: both hang
 * on the end of the process.
 */
export async function makeWorkDirectory(what: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `sightline-${what}-`));
  process.once('exit', () => {
    rmSync(directory, { recursive: true, force: true });
  });
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  return directory;
}
