import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { AppError, fromErrorRecord } from '#shared/core/errors';
import type { BenchAnswer, BenchFigures, BenchRequest } from './model-bench-messages.ts';

/** A slow model in a large batch on a busy machine; what takes longer is not of use for video. */
const defaultTimeoutMs = 5 * 60_000;

/**
 * Runs a model in a process of its own, so that its memory is seen alone and a provider that crashes takes nothing along. Rejects with the
 * reason where this setting cannot be run here.
 */
export async function measureModel(request: BenchRequest, timeoutMs = defaultTimeoutMs): Promise<BenchFigures> {
  const child = fork(fileURLToPath(new URL('./model-bench-child.ts', import.meta.url)), [], {
    serialization: 'advanced',
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<BenchFigures>((resolve, reject) => {
      const refuse = (reason: string): void => reject(new AppError('SIGHTLINE_INFERENCE_RUN_FAILED', reason));
      timer = setTimeout(() => refuse(`not done within ${timeoutMs / 1000} s`), timeoutMs);
      child.once('message', (answer: BenchAnswer) => {
        if (answer.kind === 'failed') reject(fromErrorRecord(answer.error));
        else resolve(answer.figures);
      });
      child.once('error', (error) => refuse(error.message));
      child.once('exit', (code, signal) => refuse(`it ended the process (${signal ?? `exit code ${code ?? '?'}`})`));
      child.send(request, (error) => {
        if (error !== null) refuse(error.message);
      });
    });
  } finally {
    clearTimeout(timer);
    kill();
    await gone;
    process.removeListener('exit', kill);
  }
}
