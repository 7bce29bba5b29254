import { setTimeout as sleep } from 'node:timers/promises';
import type { CameraStatus, DetectionFrame } from '#schemas';
import { AppError, toAppError } from '#shared/core/errors';
import { answerOf, ApiFailure, eventStreamType, openApi, type Api } from '../api/api-client.ts';
import type { ApiFlags } from '../api/api-address.ts';
import { readEvents } from '../api/event-reader.ts';
import { print } from './output.ts';
import { jsonLines, textLines } from './record-lines.ts';

interface ApiTailFlags extends ApiFlags {
  readonly camera?: string;
  readonly class?: string;
  readonly json?: true;
}

const firstPauseMs = 500;
const longestPauseMs = 8_000;

/** Prints results as the API sends them, until SIGINT, SIGTERM or a reader that has gone. A connection that is lost is made anew. */
export async function tailApi(flags: ApiTailFlags): Promise<void> {
  const api = await openApi(flags);
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const isStopped = (): boolean => stopped.signal.aborted;
  let pauseMs = firstPauseMs;
  let hasBeenOpen = false;
  while (!isStopped()) {
    try {
      const stream = await openStream(api, flags, stopped.signal);
      process.stderr.write(`following the results at ${api.url}\n`);
      hasBeenOpen = true;
      pauseMs = firstPauseMs;
      await printStream(stream, flags, stop);
      if (!isStopped()) process.stderr.write(`${api.url} ended the stream; trying again\n`);
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

async function openStream(api: Api, flags: ApiTailFlags, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const query = {
    ...(flags.camera === undefined ? {} : { camera: flags.camera }),
    ...(flags.class === undefined ? {} : { class: flags.class }),
  };
  const headers = { accept: eventStreamType };
  const stream: unknown = await answerOf(
    api,
    api.client.GET('/api/v1/results', { params: { query }, headers, parseAs: 'stream', signal }),
  );
  if (!(stream instanceof ReadableStream)) throw new AppError('SIGHTLINE_API_ANSWER', `${api.url} sent no stream`);
  return stream as ReadableStream<Uint8Array>; // the body of an answer
}

async function printStream(stream: ReadableStream<Uint8Array>, flags: ApiTailFlags, stop: () => void): Promise<void> {
  const toLines = flags.json === true ? jsonLines : textLines;
  for await (const { event, data } of readEvents(stream)) {
    const told: unknown = JSON.parse(data);
    // What the document says of these events.
    if (event === 'dropped') {
      process.stderr.write(`missed ${(told as { readonly count: number }).count} events: reading too slowly\n`);
      continue;
    }
    const lines =
      event === 'result'
        ? toLines({ schema: 'detection-frame', records: [told as DetectionFrame] }, undefined)
        : event === 'status'
          ? toLines({ schema: 'camera-status', records: [told as CameraStatus] }, undefined)
          : [];
    if (lines.length > 0 && !(await print(lines.join('')))) {
      stop();
      return;
    }
  }
}
