import { getCompileCacheDir } from 'node:module';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { AppError, fromErrorRecord } from '#shared/core/errors';
import type { ScoreRules } from '../../core/model.ts';
import type { ExecutionProvider, ImageDetections, VerifiedModel } from '../../core/ports.ts';
import type { ChosenProvider, DetectRequest, EmbeddingLoad, FromWorker, ToWorker } from './worker-messages.ts';

export type ThreadResult =
  | { readonly kind: 'detected'; readonly result: ImageDetections; readonly data: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'detect-failed'; readonly error: AppError; readonly data: Uint8Array<ArrayBuffer> };

export interface DetectorThreadEvents {
  readonly onResult: (result: ThreadResult) => void;
  /** The thread ended without being asked. Not called while it loads: then load() rejects. */
  readonly onLost: (error: AppError) => void;
}

/** A worker thread with one session, seen from the main thread. */
export interface DetectorThread {
  /** Rejects where the model does not load or takes too long; the thread is told to end then. */
  load(
    model: VerifiedModel,
    options: {
      readonly rules: ScoreRules;
      readonly provider: ExecutionProvider;
      readonly embedding: EmbeddingLoad | null;
      readonly timeoutMs: number;
    },
  ): Promise<ChosenProvider>;
  /** One image at a time. Its buffer is transferred and comes back with the result. */
  detect(request: DetectRequest): void;
  /** Waits at most this long for the thread to end by itself; rejects with SIGHTLINE_INFERENCE_STALLED when it does not. */
  stop(timeoutMs: number): Promise<void>;
}

/** A thread does not take over the compile cache of the one that starts it, and stripping types anew costs it twice its start. */
function compileCacheEnvironment(): Record<string, string> {
  // A folder of this version of Node inside the one that was asked for.
  const folder = getCompileCacheDir();
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: path.dirname(folder) };
}

export function startDetectorThread(name: string, events: DetectorThreadEvents): DetectorThread {
  const worker = new Worker(new URL('./detector-worker.ts', import.meta.url), {
    name,
    execArgv: [],
    env: compileCacheEnvironment(),
  });
  let isStopping = false;
  let hasEnded = false;
  let failure: unknown;
  let loading:
    { readonly resolve: (chosen: ChosenProvider) => void; readonly reject: (error: AppError) => void } | undefined;
  const ended = new Promise<void>((resolve) => {
    worker.once('exit', () => {
      hasEnded = true;
      resolve();
      const error = new AppError(
        'SIGHTLINE_INFERENCE_WORKER_LOST',
        `inference worker ended${failure instanceof Error ? `: ${failure.message}` : ''}`,
        { cause: failure, retryable: true },
      );
      if (loading !== undefined) loading.reject(error);
      else if (!isStopping) events.onLost(error);
    });
  });
  worker.on('error', (error) => {
    failure = error; // 'exit' follows
  });
  worker.on('message', (message: FromWorker) => {
    switch (message.kind) {
      case 'loaded':
        loading?.resolve({ provider: message.provider, refused: message.refused });
        return;
      case 'load-failed':
        loading?.reject(fromErrorRecord(message.error));
        return;
      case 'detected':
        events.onResult(message);
        return;
      case 'detect-failed':
        events.onResult({ kind: 'detect-failed', error: fromErrorRecord(message.error), data: message.data });
    }
  });

  function say(message: ToWorker, transfer: readonly ArrayBuffer[]): void {
    worker.postMessage(message, transfer);
  }

  async function stop(timeoutMs: number): Promise<void> {
    if (hasEnded) return;
    isStopping = true;
    say({ kind: 'stop' }, []);
    let timer: NodeJS.Timeout | undefined;
    const inTime = await Promise.race([
      ended.then(() => true),
      new Promise<false>((resolve) => {
        timer = setTimeout(resolve, timeoutMs, false);
      }),
    ]);
    clearTimeout(timer);
    if (inTime) return;
    // It must not keep the process alive; whoever ends the process has to do it by SIGKILL, see docs/performance.md.
    worker.unref();
    throw new AppError(
      'SIGHTLINE_INFERENCE_STALLED',
      'an inference run did not end, so its worker could not be stopped',
    );
  }

  return {
    async load(model, { rules, provider, embedding, timeoutMs }) {
      // A copy of its own for each thread, transferred: nothing of it stays here or there once the session has read it.
      const bytes = model.bytes.slice();
      const described = embedding === null ? null : { ...embedding, bytes: embedding.bytes.slice() };
      let timer: NodeJS.Timeout | undefined;
      try {
        return await new Promise<ChosenProvider>((resolve, reject) => {
          loading = { resolve, reject };
          timer = setTimeout(() => {
            reject(
              new AppError(
                'SIGHTLINE_MODEL_DRY_RUN_FAILED',
                `model ${model.manifest.name} was not ready within ${timeoutMs} ms`,
              ),
            );
          }, timeoutMs);
          say({ kind: 'load', bytes, manifest: model.manifest, rules, provider, embedding: described }, [
            bytes.buffer,
            ...(described === null ? [] : [described.bytes.buffer]),
          ]);
        });
      } catch (error) {
        loading = undefined;
        // Not awaited for longer than a moment: a load that hangs would hold up the report of it.
        await stop(1000).catch(() => undefined);
        throw error;
      } finally {
        loading = undefined;
        clearTimeout(timer);
      }
    },
    detect(request) {
      say({ kind: 'detect', ...request }, [request.image.data.buffer]);
    },
    stop,
  };
}
