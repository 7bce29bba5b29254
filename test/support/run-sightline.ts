import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

// Under npm a signal comes twice within a moment and the second is taken for a copy; our tests send each by hand.
const { npm_lifecycle_event: _ours, ...ownEnvironment } = process.env;

const launcher = fileURLToPath(new URL('../../cli/bin.mjs', import.meta.url));

export interface FinishedRun {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningSightline {
  readonly child: ChildProcess;
  /** What was printed so far. */
  output(): { readonly stdout: string; readonly stderr: string };
  readonly finished: Promise<FinishedRun>;
  /** Resolves when stderr holds `text`; rejects, with what was printed, when the process ends first. */
  untilStderr(text: string | RegExp): Promise<void>;
}

/** A directory of the test's own, gone when it ends. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'sightline-test-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Starts the command as a user does, as a process of its own; it is ended with the test. */
export function startSightline(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): RunningSightline {
  const child = spawn(process.execPath, [launcher, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...ownEnvironment, NO_COLOR: '1', ...environment },
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'close');
  });
  let [stdout, stderr] = ['', ''];
  const listeners = new Set<() => void>();
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    for (const listener of listeners) listener();
  });
  const finished = once(child, 'close').then(() => ({
    code: child.exitCode,
    signal: child.signalCode,
    stdout,
    stderr,
  }));
  return {
    child,
    output: () => ({ stdout, stderr }),
    finished,
    untilStderr: (text) =>
      new Promise<void>((resolve, reject) => {
        const look = (): void => {
          if (typeof text === 'string' ? !stderr.includes(text) : !text.test(stderr)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
        finished.then(() => {
          reject(new Error(`the process ended before it said ${String(text)}:\n${stderr}`));
        }, reject);
      }),
  };
}

/** Runs the command to its end. */
export function runSightline(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<FinishedRun> {
  return startSightline(args, environment).finished;
}
