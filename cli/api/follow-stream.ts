import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, toAppError } from '#shared/core/errors';
import { ApiFailure, type Api } from './api-client.ts';
import { readEvents, type ServerEvent } from './event-reader.ts';

export interface FollowedStream {
  /** For people: `results`. */
  readonly what: string;
  /** The body of an answer with server-sent events. Called again for each connection. */
  readonly open: (signal: AbortSignal) => Promise<unknown>;
  /** False where nobody reads any more what is printed. */
  readonly take: (event: ServerEvent) => Promise<boolean>;
}

const firstPauseMs = 500;
const longestPauseMs = 8_000;

/** Hands out what the API sends until SIGINT, SIGTERM or a reader that has gone. A connection that is lost is made anew. */
export async function followStream({ url }: Api, { what, open, take }: FollowedStream): Promise<void> {
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const isStopped = (): boolean => stopped.signal.aborted;
  let hasBeenOpen = false;
  let pauseMs = firstPauseMs;
  while (!isStopped()) {
    try {
      const stream = await open(stopped.signal);
      if (!(stream instanceof ReadableStream)) throw new AppError('SIGHTLINE_API_ANSWER', `${url} sent no stream`);
      if (!hasBeenOpen) process.stderr.write(`following the ${what} at ${url}\n`);
      hasBeenOpen = true;
      pauseMs = firstPauseMs;
      // The body of an answer is of bytes.
      for await (const event of readEvents(stream as ReadableStream<Uint8Array>)) {
        if (await take(event)) continue;
        stop();
        break;
      }
      if (!isStopped()) process.stderr.write(`${url} ended the stream; trying again\n`);
    } catch (thrown) {
      if (isStopped()) break;
      const error = toAppError(thrown);
      // What was refused is refused again; what never answered is told at once.
      if (!hasBeenOpen || (error instanceof ApiFailure && !error.retryable)) throw error;
      process.stderr.write(`${error.message}; trying again\n`);
    }
    // An interruption ends the wait, and the loop with it.
    await sleep(pauseMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    pauseMs = Math.min(longestPauseMs, pauseMs * 2);
  }
  process.off('SIGINT', stop).off('SIGTERM', stop);
}
