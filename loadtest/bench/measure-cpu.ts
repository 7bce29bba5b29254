import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

export interface MeasuredRun {
  /** User and system time of the command and of everything it waited for. */
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly stdout: string;
}

const millisecondsPerTick = 10;

/** Runs a command to its end, one at a time, and reads what it cost from our own account of ended children (proc(5): cutime, cstime). */
export async function measureCommand(
  command: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<MeasuredRun> {
  const cpuBefore = endedChildrenMs();
  const startedMs = performance.now();
  const started = startCommand(command, args, environment);
  await started.ended;
  const wallMs = performance.now() - startedMs;
  return { cpuMs: endedChildrenMs() - cpuBefore, wallMs, stdout: started.stdout() };
}

export interface StartedCommand {
  readonly child: ChildProcess;
  /** Rejects, with what it said on stderr, unless it ends with 0. */
  readonly ended: Promise<void>;
  readonly stdout: () => string;
}

/** Starts a command; what several cost is the difference of `endedChildrenMs` before the start and after the end of them all. */
export function startCommand(
  command: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): StartedCommand {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const ended = once(child, 'close').then(([code]) => {
    if (code === 0) return;
    throw new Error(
      `${command} ${args.slice(0, 3).join(' ')} … ended with ${String(code ?? 'a signal')}:\n${stderr()}`,
    );
  });
  ended.catch(() => undefined); // whoever waits sees it; of several that run, one may fail before it is waited for
  return { child, ended, stdout };
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/** CPU of all children that have ended so far, with those that they waited for. */
export function endedChildrenMs(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * millisecondsPerTick;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const middle = sorted.length / 2;
  const median = sorted.length % 2 === 1 ? at(Math.floor(middle)) : (at(middle - 1) + at(middle)) / 2;
  return { median, min: at(0), max: at(sorted.length - 1) };
}
