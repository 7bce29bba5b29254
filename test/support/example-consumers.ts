import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const examples = join(import.meta.dirname, '../../examples');

export interface ExampleConsumer {
  readonly name: 'python' | 'node' | 'java';
  /** Program and arguments in front of the broker's. */
  readonly command: readonly string[];
  /** The path of the registry that the example's decoder speaks to. */
  readonly registryPath: '/apis/ccompat/v7' | '/apis/registry/v2';
}

const nodeConsumer: ExampleConsumer = {
  name: 'node',
  command: [process.execPath, join(examples, 'node/consumer.mjs')],
  registryPath: '/apis/ccompat/v7',
};

/** The examples that can be run here, with their packages; what cannot be had is told in one line each. */
export async function installExamples(): Promise<ExampleConsumer[]> {
  const found = await Promise.all([python(), Promise.resolve(nodeConsumer), java()]);
  return found.filter((consumer) => consumer !== undefined);
}

async function python(): Promise<ExampleConsumer | undefined> {
  const requirements = join(examples, 'python/requirements.txt');
  try {
    const folder = await prepare('example-python', requirements, async (work) => {
      // Never moved: a virtual environment holds its own path.
      await run('python3', ['-m', 'venv', work], { timeout: 60_000 });
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements];
      await run(join(work, 'bin/python'), pip, { timeout: 180_000 });
    });
    const command = [join(folder, 'bin/python'), join(examples, 'python/consumer.py')];
    return { name: 'python', command, registryPath: '/apis/ccompat/v7' };
  } catch {
    process.stderr.write('python3 with confluent-kafka cannot be had here: the Python example is not run\n');
    return undefined;
  }
}

async function java(): Promise<ExampleConsumer | undefined> {
  const pom = join(examples, 'java/pom.xml');
  try {
    if (spawnSync('java', ['-version'], { stdio: 'ignore' }).error !== undefined) throw new Error('no java');
    const folder = await prepare('example-java', pom, async (work) => {
      await mkdir(work, { recursive: true });
      await copyFile(pom, join(work, 'pom.xml'));
      const copy = ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=libs'];
      await run('mvn', copy, { cwd: work, timeout: 180_000 });
    });
    const command = ['java', '-XX:TieredStopAtLevel=1', '-cp', join(folder, 'libs', '*')];
    return {
      name: 'java',
      command: [...command, join(examples, 'java/Consumer.java')],
      registryPath: '/apis/registry/v2',
    };
  } catch {
    process.stderr.write('java with its packages cannot be had here: the Java example is not run\n');
    return undefined;
  }
}

/** A folder of this machine's cache for what `definition` names, filled once for each content of it. */
async function prepare(name: string, definition: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const digest = createHash('sha256')
    .update(await readFile(definition))
    .digest('hex')
    .slice(0, 12);
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const folder = join(cache, 'sightline', `${name}-${digest}`);
  const complete = join(folder, '.complete');
  if (existsSync(complete)) return folder;
  await rm(folder, { recursive: true, force: true });
  await mkdir(dirname(folder), { recursive: true });
  await fill(folder);
  await writeFile(complete, '');
  return folder;
}
