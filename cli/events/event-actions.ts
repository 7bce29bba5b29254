import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, toAppError } from '#shared/core/errors';
import type { ApiFlags } from '../api/api-address.ts';
import { answerOf, ApiFailure, eventStreamType, openApi, type Api, type Schemas } from '../api/api-client.ts';
import type { JsonFlag } from '../api/api-options.ts';
import { readEvents } from '../api/event-reader.ts';
import { print } from '../results/output.ts';

export interface EventFlags extends ApiFlags, JsonFlag {
  readonly camera?: string;
  readonly kind?: string;
  /** As the API takes it. */
  readonly since?: string;
}

type Event = Schemas['Event'];

const pageSize = 500;
const firstPauseMs = 500;
const longestPauseMs = 8_000;

export async function listEvents(
  flags: EventFlags & { readonly until?: string; readonly limit: number },
): Promise<void> {
  const api = await openApi(flags);
  const limit = flags.limit === 0 ? Infinity : flags.limit;
  const until = flags.until === undefined ? {} : { until: flags.until };
  let cursor: string | undefined;
  for (let printed = 0; printed < limit;) {
    const query = {
      ...{ ...filterOf(flags), ...until, limit: Math.min(pageSize, limit - printed) },
      ...(cursor === undefined ? {} : { cursor }),
    };
    const { items, next_cursor: next } = await answerOf(api, api.client.GET('/api/v1/events', { params: { query } }));
    if (items.length > 0 && !(await print(items.map(lineOf(flags)).join('')))) return;
    if (next === null) return;
    printed += items.length;
    cursor = next;
  }
}

/** A connection that is lost is made anew, and goes on after what was printed last. */
export async function tailEvents(flags: EventFlags): Promise<void> {
  const api = await openApi(flags);
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const isStopped = (): boolean => stopped.signal.aborted;
  const filter = filterOf(flags);
  let last: number | undefined;
  let hasBeenOpen = false;
  let pauseMs = firstPauseMs;
  while (!isStopped()) {
    try {
      const stream = await openStream(api, filter, last, stopped.signal);
      if (!hasBeenOpen) process.stderr.write(`following the events at ${api.url}\n`);
      hasBeenOpen = true;
      pauseMs = firstPauseMs;
      last = await printStream(stream, lineOf(flags), last, stop);
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

async function openStream(
  api: Api,
  filter: ReturnType<typeof filterOf>,
  last: number | undefined,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const headers = { accept: eventStreamType, ...(last === undefined ? {} : { 'last-event-id': String(last) }) };
  const stream: unknown = await answerOf(
    api,
    api.client.GET('/api/v1/events', { params: { query: filter }, headers, parseAs: 'stream', signal }),
  );
  if (!(stream instanceof ReadableStream)) throw new AppError('SIGHTLINE_API_ANSWER', `${api.url} sent no stream`);
  return stream as ReadableStream<Uint8Array>; // the body of an answer
}

/** The `seq` of the event that was printed last. */
async function printStream(
  stream: ReadableStream<Uint8Array>,
  toLine: (event: Event) => string,
  before: number | undefined,
  stop: () => void,
): Promise<number | undefined> {
  let last = before;
  try {
    for await (const { event, data } of readEvents(stream)) {
      // What the document says of these events.
      const told = JSON.parse(data) as Event & { readonly count?: number };
      if (event === 'dropped') process.stderr.write(`missed ${told.count ?? 0} events: reading too slowly\n`);
      if (event !== 'event') continue;
      if (!(await print(toLine(told)))) {
        stop();
        break;
      }
      last = told.seq;
    }
  } catch {
    // The connection broke; the next one goes on from here.
  }
  return last;
}

function filterOf({ camera, kind, since }: EventFlags) {
  return {
    ...(camera === undefined ? {} : { camera }),
    ...(kind === undefined ? {} : { kind }),
    ...(since === undefined ? {} : { since }),
  };
}

function lineOf({ json }: JsonFlag): (event: Event) => string {
  return json === true ? (event) => `${JSON.stringify(event)}\n` : textLine;
}

function textLine({ time, severity, kind, camera_id: camera, summary, reason_code: reason }: Event): string {
  const why = reason === null || reason === 'NONE' ? '' : `${reason}: `;
  return `${new Date(time / 1000).toISOString()}  ${severity.padEnd(6)}  ${kind.padEnd(20)}  ${camera ?? '-'}  ${why}${summary}\n`;
}
