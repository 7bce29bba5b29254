import type { ApiFlags } from '../api/api-address.ts';
import { answerOf, eventStreamType, openApi, type Schemas } from '../api/api-client.ts';
import type { JsonFlag } from '../api/api-options.ts';
import { followStream } from '../api/follow-stream.ts';
import { print } from '../results/output.ts';

export interface EventFlags extends ApiFlags, JsonFlag {
  readonly camera?: string;
  readonly kind?: string;
  /** As the API takes it. */
  readonly since?: string;
}

type Event = Schemas['Event'];

const pageSize = 500;

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

/** A connection that is made anew goes on after what was printed last. */
export async function tailEvents(flags: EventFlags): Promise<void> {
  const api = await openApi(flags);
  const query = filterOf(flags);
  const toLine = lineOf(flags);
  let last: number | undefined;
  await followStream(api, {
    what: 'events',
    open(signal) {
      const headers = { accept: eventStreamType, ...(last === undefined ? {} : { 'last-event-id': String(last) }) };
      return answerOf(api, api.client.GET('/api/v1/events', { params: { query }, headers, parseAs: 'stream', signal }));
    },
    async take({ event, data }) {
      // What the document says of these events.
      const told = JSON.parse(data) as Event & { readonly count?: number };
      if (event === 'dropped') process.stderr.write(`missed ${told.count ?? 0} events: reading too slowly\n`);
      if (event !== 'event') return true;
      const isRead = await print(toLine(told));
      if (isRead) last = told.seq;
      return isRead;
    },
  });
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
