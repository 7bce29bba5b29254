import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const script = join(import.meta.dirname, 'read-avro.py');

export interface FastavroFinding {
  readonly file: string;
  readonly name?: string;
  readonly records: number;
  readonly first: [string, number, number] | null;
  readonly last: [string, number, number] | null;
  /** `complete`, or the name of the exception that ended the reading. */
  readonly ending: string;
  readonly sample?: Readonly<Record<string, unknown>>;
}

export interface FastavroReader {
  read(files: readonly string[]): Promise<FastavroFinding[]>;
  remove(): Promise<void>;
}

/** Python with fastavro in a folder of its own; undefined, with one line that says why, where Python or the package cannot be had. */
export async function installFastavro(): Promise<FastavroReader | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'sightline-python-'));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  const python = join(directory, 'bin/python');
  try {
    await run('python3', ['-m', 'venv', directory], { timeout: 60_000 });
    await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'fastavro'], {
      timeout: 90_000,
    });
  } catch {
    await remove();
    process.stderr.write(
      'python3 with fastavro cannot be had here, so nothing is read with it: those tests are skipped\n',
    );
    return undefined;
  }
  return {
    remove,
    async read(files) {
      const { stdout } = await run(python, [script, ...files], { maxBuffer: 64 * 1024 * 1024 });
      // The script is ours and prints one object for each file.
      return stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as FastavroFinding);
    },
  };
}
