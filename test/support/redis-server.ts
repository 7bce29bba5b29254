import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why no Redis can be had here, or undefined where it can. */
export function redisUnavailable(): string | undefined {
  return spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).error === undefined
    ? undefined
    : 'Redis tests are skipped: redis-server not found';
}

export interface RedisServer {
  readonly port: number;
  freeze(): void;
  thaw(): void;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
  /** On the same port, empty. */
  restart(): Promise<void>;
  /** One command in the words of the protocol; resolves with the raw answer. */
  ask(...words: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** A real Redis of our own, without anything on the disk that outlives it. `lines` are lines of its configuration. */
export async function startRedis(
  lines: readonly string[] = [],
  options: { readonly isSentinel?: boolean; readonly isTls?: boolean } = {},
): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'sightline-redis-'));
  const port = await freePort();
  const file = join(folder, 'redis.conf');
  const log = join(folder, 'redis.log');
  const listen = options.isTls === true ? ['port 0', `tls-port ${String(port)}`] : [`port ${String(port)}`];
  const base = options.isSentinel === true ? [] : ['save ""'];
  const all = [...listen, 'bind 127.0.0.1', `dir ${folder}`, `logfile ${log}`, ...base, ...lines];
  await writeFile(file, `${all.join('\n')}\n`);
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    child = spawn('redis-server', [file, ...(options.isSentinel === true ? ['--sentinel'] : [])], { stdio: 'ignore' });
    const deadlineMs = performance.now() + 10_000;
    while (!(await answers(port))) {
      if (performance.now() > deadlineMs || child.exitCode !== null) {
        throw new Error(`Redis did not start: ${(await readFile(log, 'utf8').catch(() => '')).slice(-1_000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async function kill(): Promise<void> {
    const ending = child;
    child = undefined;
    if (ending?.exitCode !== null || ending.signalCode !== null) return;
    const ended = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill('SIGKILL');
    await ended;
  }

  const stop = async (): Promise<void> => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    freeze: () => child?.kill('SIGSTOP'),
    thaw: () => child?.kill('SIGCONT'),
    kill,
    restart: async () => {
      await kill();
      await start();
    },
    ask: (...words) => ask(port, words),
    stop,
  };
}

function ask(port: number, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.setTimeout(2_000, () => socket.destroy(new Error('Redis did not answer')));
    socket.once('error', reject);
    socket.once('data', (data: Buffer) => {
      socket.destroy();
      resolve(data.toString());
    });
    const parts = words.map((word) => `$${String(Buffer.byteLength(word))}\r\n${word}\r\n`);
    socket.write(`*${String(words.length)}\r\n${parts.join('')}`);
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const done = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
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
