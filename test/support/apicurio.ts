import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const apicurioVersion = '2.6.13.Final';

export interface SchemaRegistryServer {
  /** Where the interface of Confluent's registry is. */
  readonly url: string;
  /** False where the server is somebody else's (SCHEMA_REGISTRY_URL): then it cannot be stopped. */
  readonly isOwn: boolean;
  stop(): Promise<void>;
}

/** Why no registry can be had here, or undefined where it can. Names what is missing in one line. */
export function schemaRegistryUnavailable(): string | undefined {
  if (process.env['SCHEMA_REGISTRY_URL'] !== undefined) return undefined;
  const needed = ['java', ...(existsSync(join(cacheFolder(), '.complete')) ? [] : ['mvn', 'tar'])];
  const missing = needed.filter(
    (command) =>
      spawnSync(command, [command === 'tar' ? '--version' : '-version'], { stdio: 'ignore' }).error !== undefined,
  );
  return missing.length === 0
    ? undefined
    : `Registry tests are skipped: ${missing.join(' and ')} not found (or set SCHEMA_REGISTRY_URL to a running registry)`;
}

/** A real Apicurio Registry of our own, its memory empty, or the registry that SCHEMA_REGISTRY_URL names. */
export async function startSchemaRegistry(): Promise<SchemaRegistryServer> {
  const given = process.env['SCHEMA_REGISTRY_URL'];
  if (given !== undefined) return { url: given, isOwn: false, stop: () => Promise.resolve() };
  const folder = await fetchApicurio();
  const jar = (await readdir(folder)).find((name) => name.endsWith('-runner.jar'));
  if (jar === undefined) throw new Error(`no runner in ${folder}`);
  const home = await mkdtemp(join(tmpdir(), 'sightline-registry-'));
  const port = await freePort();
  const log = join(home, 'registry.log');
  const logFile = await open(log, 'a');
  // The shell waits on a pipe from us: when this process is gone, however it went, the pipe ends and the server with it.
  const script = '"$@" </dev/null & cat >/dev/null; kill -9 $! 2>/dev/null; wait';
  const java = ['java', '-Xmx192m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-jar', join(folder, jar)];
  const shell = spawn('sh', ['-c', script, 'sh', ...java], {
    stdio: ['pipe', logFile.fd, logFile.fd],
    cwd: home,
    env: { ...process.env, QUARKUS_HTTP_HOST: '127.0.0.1', QUARKUS_HTTP_PORT: String(port) },
  });
  await logFile.close();
  const stop = async (): Promise<void> => {
    await end(shell);
    await rm(home, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${String(port)}/apis/ccompat/v7`;
  const deadlineMs = performance.now() + 90_000;
  while (!(await answers(`${url}/subjects`))) {
    if (performance.now() > deadlineMs || shell.exitCode !== null) {
      const words = (await readFile(log, 'utf8')).slice(-2_000);
      await stop();
      throw new Error(`the registry did not start:\n${words}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { url, isOwn: true, stop };
}

async function end(shell: ChildProcess): Promise<void> {
  if (shell.exitCode !== null || shell.signalCode !== null) return;
  const ended = new Promise((resolve) => shell.once('exit', resolve));
  shell.stdin?.end();
  await ended;
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sightline', `apicurio-${apicurioVersion}`);
}

function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  child.stdout.on('data', (data: Buffer) => (words += data.toString()));
  child.stderr.on('data', (data: Buffer) => (words += data.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${command} ended with ${String(code)}: ${words.slice(-2_000)}`));
    });
  });
}

/** The server by Maven, once for each machine. */
async function fetchApicurio(): Promise<string> {
  const folder = cacheFolder();
  if (existsSync(join(folder, '.complete'))) return folder;
  await mkdir(dirname(folder), { recursive: true });
  const work = await mkdtemp(join(dirname(folder), 'fetch-'));
  try {
    const artifact = `io.apicurio:apicurio-registry-app:${apicurioVersion}:tar.gz:all`;
    const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy';
    await run('mvn', ['-q', '-B', copy, `-Dartifact=${artifact}`, `-DoutputDirectory=${work}`], work);
    const archive = (await readdir(work)).find((name) => name.endsWith('.tar.gz'));
    if (archive === undefined) throw new Error(`Maven brought no archive of ${artifact}`);
    const unpacked = join(work, 'unpacked');
    await mkdir(unpacked);
    await run('tar', ['-xzf', join(work, archive), '-C', unpacked], work);
    await writeFile(join(unpacked, '.complete'), '');
    // Another test process may have been quicker: then its copy stays.
    await rename(unpacked, folder).catch((error: unknown) => {
      if (!existsSync(join(folder, '.complete'))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}
