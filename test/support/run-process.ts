import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export interface RunningProcess {
  readonly child: ChildProcess;
  /** What it wrote so far. */
  output(): { readonly stdout: string; readonly stderr: string };
  /** Resolves when its standard output holds `text`; rejects, with what it wrote, when it ends before. */
  until(text: string): Promise<void>;
  readonly ended: Promise<{
    readonly code: number | null;
    readonly signal: NodeJS.Signals | null;
    readonly stdout: string;
    readonly stderr: string;
  }>;
  /** Ends it if it still runs; for onTestFinished. */
  kill(): Promise<void>;
}

/** Starts a program and keeps what it writes. */
export function runProcess(
  program: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): RunningProcess {
  const child = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null, // as the event is documented
    signal: signal as NodeJS.Signals | null,
    stdout,
    stderr,
  }));
  return {
    child,
    output: () => ({ stdout, stderr }),
    ended,
    until: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (stdout.includes(text)) resolve();
        };
        child.stdout.on('data', look);
        ended.then(() => {
          reject(new Error(`ended before it wrote ${JSON.stringify(text)}: ${stdout}${stderr}`));
        }, reject);
        look();
      }),
    kill: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    },
  };
}
