import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';

const living = new Set<ChildProcess>();
// Whatever way this process ends, none of them stays behind.
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** A process of the load test that is started, watched and ended by it. */
export class LoadProcess {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #wake: (() => void)[] = [];
  ended = false;

  constructor(name: string, script: string, settings: object, note: (text: string) => void) {
    this.name = name;
    this.#child = spawn(
      process.execPath,
      ['--disable-warning=TimeoutNegativeWarning', join(import.meta.dirname, script), JSON.stringify(settings)],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.pid = this.#child.pid ?? 0;
    living.add(this.#child);
    const { stdout, stderr } = this.#child;
    if (stdout !== null) {
      createInterface({ input: stdout }).on('line', (line) => {
        this.#lines.push(line);
        this.#wakeAll();
      });
    }
    if (stderr !== null)
      createInterface({ input: stderr }).on('line', (line) => note(`${name}: ${line.slice(0, 300)}`));
    this.exited = new Promise((resolve) => {
      this.#child.once('close', () => {
        this.ended = true;
        living.delete(this.#child);
        this.#wakeAll();
        resolve();
      });
    });
  }

  /** Its line number `index`. Rejects where it ends before or `limitMs` passes. */
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

  async end(graceMs: number): Promise<void> {
    this.signal('SIGTERM');
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

/** CPU seconds and resident memory of a process so far; undefined where it is gone (or this is not Linux). */
export function usageOf(pid: number): { readonly cpuS: number; readonly rssMb: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return {
      cpuS: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
      rssMb: Number(fields[21]) * pageMb,
    };
  } catch {
    return undefined;
  }
}
