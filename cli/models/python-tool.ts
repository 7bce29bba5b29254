import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '#shared/core/errors';

const toolsDirectory = path.resolve(import.meta.dirname, '../../models/tools');
const requirements = path.join(toolsDirectory, 'requirements.txt');

/** Runs a tool of models/tools with its output on ours; gives its exit code. The first call installs what it needs into an environment of its own. */
export async function runPythonTool(stateDir: string, tool: string, args: readonly string[]): Promise<number> {
  const python = await preparePython(path.join(stateDir, 'python-tools'));
  return runToEnd(python, [path.join(toolsDirectory, `${tool}.py`), ...args]);
}

/** Named by the content of the requirements and marked when complete: a half-made or outdated one is never used. */
async function preparePython(directory: string): Promise<string> {
  const digest = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex');
  const environment = path.join(directory, digest.slice(0, 12));
  const python = path.join(environment, 'bin/python');
  const marker = path.join(environment, 'complete');
  const isThere = await access(marker).then(
    () => true,
    () => false,
  );
  if (isThere) return python;
  process.stderr.write(`installing what the tool needs into ${environment}, once: about 350 MB\n`);
  await rm(environment, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements];
  const isInstalled =
    (await runToEnd('python3', ['-m', 'venv', environment])) === 0 && (await runToEnd(python, install)) === 0;
  if (!isInstalled)
    throw new AppError('SIGHTLINE_PYTHON_UNAVAILABLE', `the Python packages of ${requirements} cannot be installed`);
  await writeFile(marker, '');
  return python;
}

async function runToEnd(program: string, args: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit' });
  try {
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return exitCode ?? 1;
  } catch (error) {
    throw new AppError('SIGHTLINE_PYTHON_UNAVAILABLE', `${program} cannot be run`, { cause: error });
  }
}
