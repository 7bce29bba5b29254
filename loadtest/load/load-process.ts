import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const living = new Set<ChildProcess>();
// Whatever way this process ends, none of them stays behind.
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export interface LoadProcessOptions {
  readonly name: string;
  /** Of Node: options, script and its arguments. */
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Lines of its standard error. */
  readonly onWords: (line: string) => void;
}

/** A process of the load test that is started, watched and ended by it. */
export class LoadProcess {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #wake: (() => void)[] = [];
  ended = false;

  constructor({ name, args, environment = {}, onWords }: LoadProcessOptions) {
    this.name = name;
    this.#child = spawn(process.execPath, ['--disable-warning=TimeoutNegativeWarning', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    this.pid = this.#child.pid ?? 0;
    living.add(this.#child);
    const { stdout, stderr } = this.#child;
    if (stdout !== null) {
      createInterface({ input: stdout }).on('line', (line) => {
        this.#lines.push(line);
        this.#wakeAll();
      });
    }
    if (stderr !== null) createInterface({ input: stderr }).on('line', onWords);
    this.exited = new Promise((resolve) => {
      this.#child.once('close', () => {
        this.ended = true;
        living.delete(this.#child);
        this.#wakeAll();
        resolve();
      });
    });
  }

  /** Its line number `index` of standard output. Rejects where it ends before or `limitMs` passes. */
  async line(index: number, limitMs: number): Promise<string> {
    const deadlineMs = performance.now() + limitMs;
    for (;;) {
      const line = this.#lines[index];
      if (line !== undefined) return line;
      if (this.ended || performance.now() > deadlineMs) throw new Error(`${this.name} did not get ready`);
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        setTimeout(resolve, 1_000);
      });
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.ended) this.#child.kill(signal);
  }

  /** Asked to end, killed after `graceMs`; resolves when it is gone. */
  async end(graceMs: number): Promise<void> {
    if (this.ended) return;
    this.signal('SIGTERM');
    this.signal('SIGCONT');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

const ticksPerSecond = 100;
const pageMb = 4_096 / 1024 / 1024;

export interface Usage {
  readonly cpuS: number;
  readonly rssMb: number;
}

interface ProcessEntry extends Usage {
  readonly parent: number;
  /** Of children that have ended. */
  readonly cpuOfEndedS: number;
}

/**
 * What processes and all that they started have used so far, by pid; one that is gone is left out. ffmpeg is most of what an ingest
 * costs. Empty where this is not Linux.
 */
export function usageOfTrees(pids: readonly number[]): Map<number, Usage> {
  const entries = new Map<number, ProcessEntry>();
  for (const name of namesOf('/proc')) {
    const entry = /^\d+$/.test(name) ? readEntry(name) : undefined;
    if (entry !== undefined) entries.set(Number(name), entry);
  }
  const roots = new Map(pids.filter((pid) => entries.has(pid)).map((pid) => [pid, { cpuS: 0, rssMb: 0 }]));
  for (const [pid, entry] of entries) {
    let at: number | undefined = pid;
    while (at !== undefined && at > 1 && !roots.has(at)) at = entries.get(at)?.parent;
    const root = at === undefined ? undefined : roots.get(at);
    if (root === undefined) continue;
    // What ended under ourselves was one of those that count for themselves.
    root.cpuS += entry.cpuS + (at === process.pid ? 0 : entry.cpuOfEndedS);
    root.rssMb += entry.rssMb;
  }
  return roots;
}

function namesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readEntry(pid: string): ProcessEntry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold blanks: the fields are counted from behind it.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [, parent = 0] = fields;
    const [own = 0, ownSystem = 0, ended = 0, endedSystem = 0] = fields.slice(11, 15);
    return {
      parent,
      cpuS: (own + ownSystem) / ticksPerSecond,
      cpuOfEndedS: (ended + endedSystem) / ticksPerSecond,
      rssMb: (fields[21] ?? 0) * pageMb,
    };
  } catch {
    return undefined;
  }
}
