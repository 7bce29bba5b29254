import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';

export interface MeasuredRun {
  /** User and system time of the command and of everything it waited for. */
  readonly cpuMs: number;
  readonly wallMs: number;
  /** Most resident memory that the command and its children had together, looked at twice a second; memory they share counts for each. */
  readonly peakRssMb: number;
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
  const { pid } = started.child;
  let peakRssMb = 0;
  const look = setInterval(() => {
    if (pid !== undefined) peakRssMb = Math.max(peakRssMb, rssMbOfTree(pid));
  }, 500);
  try {
    await started.ended;
  } finally {
    clearInterval(look);
  }
  const wallMs = performance.now() - startedMs;
  return { cpuMs: endedChildrenMs() - cpuBefore, wallMs, peakRssMb, stdout: started.stdout() };
}

/** Resident memory of a process and all that descend from it; those that end meanwhile count as nothing. */
function rssMbOfTree(pid: number): number {
  try {
    const ownKb = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1] ?? 0);
    const children = readdirSync(`/proc/${String(pid)}/task`).flatMap((task) =>
      readFileSync(`/proc/${String(pid)}/task/${task}/children`, 'utf8')
        .split(' ')
        .filter(Boolean),
    );
    return children.reduce((sum, child) => sum + rssMbOfTree(Number(child)), ownKb / 1024);
  } catch {
    return 0;
  }
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
