import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ChildQuestion<Request> {
  /** The TypeScript file that the process runs. */
  readonly script: URL;
  /** Goes over the channel: neither arguments nor environment of a process are private. */
  readonly request: Request;
  /** Of the process; default: ours. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  /** Default: nobody interrupts it. */
  readonly signal?: AbortSignal;
  /** What it means that there was no answer in time. */
  readonly late: () => Error;
  /** What it means that the process ended, or could not be started, before it said anything. */
  readonly ended: (how: string) => Error;
  /** Looks at the process while it works, and may stop it; gives what ends the looking. */
  readonly watch?: (child: ChildProcess, stop: (reason: Error) => void) => () => void;
}

/**
 * Has a process of its own answer one question: what crashes, hangs or eats memory takes nothing along. The process is gone, killed if need
 * be, when this settles, and with us whatever way we end.
 */
export async function askChild<Request extends object, Answer>(question: ChildQuestion<Request>): Promise<Answer> {
  const { script, request, environment, timeoutMs, signal, late, ended } = question;
  signal?.throwIfAborted();
  const child = fork(fileURLToPath(script), [], {
    serialization: 'advanced',
    execArgv: [],
    // The answer tells what went wrong; a library's own lines would only say it a second time.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    ...(environment === undefined ? {} : { env: environment }),
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  child.once('message', (answer: unknown) => resolve(answer as Answer)); // the script's own
  child.once('error', (error) => reject(ended(error.message)));
  child.once('exit', (code, killer) => reject(ended(killer ?? `exit code ${code ?? '?'}`)));
  child.send(request, (error) => {
    if (error !== null) reject(ended(error.message));
  });
  const timer = setTimeout(() => reject(late()), timeoutMs);
  const interrupt = (): void => reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
  signal?.addEventListener('abort', interrupt, { once: true });
  const unwatch = question.watch?.(child, reject);
  try {
    return await promise;
  } finally {
    unwatch?.();
    signal?.removeEventListener('abort', interrupt);
    clearTimeout(timer);
    kill();
    await gone;
    process.removeListener('exit', kill);
  }
}
