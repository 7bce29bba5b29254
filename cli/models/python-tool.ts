import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { AppError } from '#shared/core/errors';

const toolsDirectory = path.resolve(import.meta.dirname, '../../models/tools');

/** What a tool of models/tools needs, and what installing it costs. */
interface PythonPackages {
  readonly requirements: string;
  readonly installedSize: string;
}

export const pythonPackages = {
  tools: { requirements: 'requirements.txt', installedSize: '350 MB' },
  tensorflow: { requirements: 'requirements-tensorflow.txt', installedSize: '2 GB' },
  coreml: { requirements: 'requirements-coreml.txt', installedSize: '500 MB' },
  training: { requirements: 'requirements-training.txt', installedSize: '4 GB: PyTorch brings NVIDIA libraries' },
} as const satisfies Readonly<Record<string, PythonPackages>>;

export interface PythonSource {
  readonly stateDir: string;
  /** A Python that has the packages; nothing is installed then. */
  readonly python?: string | undefined;
}

/**
 * Runs a tool of models/tools that says what it does in lines of JSON, and hands its reports out; gives its exit code. The first call installs
 * what it needs into an environment of its own.
 */
export async function runReportingTool(
  source: PythonSource,
  packages: PythonPackages,
  tool: string,
  args: readonly string[],
  onReport: (report: object) => void,
): Promise<number> {
  const python = await preparePython(source, packages);
  const child = spawn(python, [path.join(toolsDirectory, `${tool}.py`), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const report = parseReport(line);
    if (report !== null) onReport(report);
  });
  return exitCodeOf(child, python);
}

/** One line of a tool; null for what is none of its own (a package that talks). Exported for its tests. */
export function parseReport(line: string): object | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as object; // it begins with a brace
  } catch {
    return null;
  }
}

/** Named by the content of the requirements and marked when complete: a half-made or outdated one is never used. */
async function preparePython(source: PythonSource, packages: PythonPackages): Promise<string> {
  if (source.python !== undefined) return source.python;
  const requirements = path.join(toolsDirectory, packages.requirements);
  const digest = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex');
  const directory = path.join(source.stateDir, 'python-tools');
  const environment = path.join(directory, digest.slice(0, 12));
  const python = path.join(environment, 'bin/python');
  const marker = path.join(environment, 'complete');
  const isThere = await access(marker).then(
    () => true,
    () => false,
  );
  if (isThere) return python;
  process.stderr.write(
    `installing what the tool needs into ${environment}, once: about ${packages.installedSize}; --python FILE uses a Python that has it\n`,
  );
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
  return exitCodeOf(spawn(program, args, { stdio: 'inherit' }), program);
}

/** The tool does not outlive us. */
async function exitCodeOf(child: ChildProcess, program: string): Promise<number> {
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  try {
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return exitCode ?? 1;
  } catch (error) {
    throw new AppError('SIGHTLINE_PYTHON_UNAVAILABLE', `${program} cannot be run`, { cause: error });
  } finally {
    process.removeListener('exit', kill);
  }
}
