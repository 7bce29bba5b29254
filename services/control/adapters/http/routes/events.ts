import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type, type Static } from 'typebox';
import { AppError } from '#shared/core/errors';
import { maySeeCamera } from '../../../core/access.ts';
import { matches, type EventFilter, type EventPlace, type KeptEvent } from '../../../core/events/event.ts';
import { parseKinds, rulesOf } from '../../../core/events/event-kinds.ts';
import { cameraUnknown } from '../../../core/register-camera.ts';
import { watchAccess } from '../access-watch.ts';
import { callerOf, read, readCamera, type ApiPorts, type HttpApp } from '../app.ts';
import { EventStream } from '../event-stream.ts';
import { PageQuery, problems, strict } from '../schemas/common.ts';
import * as schema from '../schemas/events.ts';
import { enterStream, type LiveCounts } from './live.ts';

const tags = ['events'];
/** What a listener that comes, or comes back, is told of the past: as much as waits for one that is slow. */
const maxRetold = 200;

interface Query {
  readonly camera?: string;
  readonly kind?: string;
  readonly since?: string;
  readonly until?: string;
}

export function addEventRoutes(app: HttpApp, ports: ApiPorts, counts: LiveCounts): void {
  const shown = (event: KeptEvent): Static<typeof schema.Event> => ({
    ...{ id: event.id, seq: event.seq, time: event.timeUs, kind: event.kind },
    // A kind of a later version, kept before somebody went back to this one.
    severity: (rulesOf(event.kind) as ReturnType<typeof rulesOf> | undefined)?.severity ?? 'INFO',
    ...{ camera_id: event.cameraId, summary: event.summary, reason_code: event.reasonCode },
    details: { ...event.details },
    has_still: ports.events.hasStill(event.id),
  });

  const filterOf = (request: FastifyRequest, { camera, kind, since, until }: Query): EventFilter => {
    const caller = callerOf(request);
    if (camera !== undefined && !maySeeCamera(caller, camera)) throw cameraUnknown(camera);
    return {
      visible: caller.cameras,
      // A camera that was removed has a past too, so it need not be known.
      ...(camera === undefined ? {} : { cameraId: camera }),
      ...(kind === undefined ? {} : { kinds: parseKinds(kind) }),
      ...(since === undefined ? {} : { sinceUs: momentUs('since', since) }),
      ...(until === undefined ? {} : { untilUs: momentUs('until', until) }),
    };
  };

  app.get(
    '/events',
    {
      config: { access: read },
      schema: {
        tags,
        summary: 'What happened, newest first; or as it happens (server-sent events)',
        description: `With \`Accept: text/event-stream\` what happens is told as it does: event \`event\` with an Event and its \`seq\` as id, \`dropped\` with the number that this client was too slow for. \`since\`, or the header Last-Event-ID, has the last ${maxRetold} from there on told first. A token of some cameras gets their events alone.`,
        querystring: strict({ ...PageQuery, ...schema.EventQuery }),
        headers: Type.Object({
          'last-event-id': Type.Optional(
            Type.String({ maxLength: 20, description: 'For streams: the `seq` that was read last.' }),
          ),
        }),
        response: { ...problems(404), 200: schema.EventPage },
      },
    },
    async (request, reply) => {
      const { limit = 100, cursor, ...query } = request.query;
      const filter = filterOf(request, query);
      if (request.headers.accept?.includes('text/event-stream') === true) return stream(request, reply, filter);
      const events = ports.events.newest(filter, limit, cursor === undefined ? undefined : placeOf(cursor));
      const last = events.at(-1);
      return {
        items: events.map(shown),
        next_cursor: last === undefined || events.length < limit ? null : `${last.timeUs}-${last.seq}`,
      };
    },
  );

  function stream(request: FastifyRequest, reply: FastifyReply, filter: EventFilter): FastifyReply {
    const leave = enterStream(counts);
    const told = new EventStream(reply, (count) => (counts.eventsDropped += count));
    const send = (event: KeptEvent): void => told.send('event', shown(event), String(event.seq));
    const after = request.headers['last-event-id'];
    const afterSeq = typeof after === 'string' && /^\d{1,15}$/.test(after) ? Number(after) : undefined;
    if (afterSeq !== undefined || filter.sinceUs !== undefined)
      for (const event of ports.events.following(filter, afterSeq ?? 0, maxRetold)) send(event);
    const subscription = ports.events.onEvent((event) => {
      if (matches(event, filter)) send(event);
    });
    const unwatch = watchAccess(ports, request, () => told.cutOff());
    told.onClose(() => {
      leave();
      unwatch();
      subscription.close();
    });
    return reply;
  }

  app.get(
    '/cameras/:id/events/:event/still.jpg',
    {
      config: { access: readCamera, audit: 'event.still' },
      schema: {
        tags,
        summary: 'The picture of an event, where there is one',
        description:
          'The next frame after the event, at the size that the model sees. Kept in memory and not for long.',
        params: schema.StillParams,
        response: {
          ...problems(404),
          200: { description: 'A JPEG.', content: { 'image/jpeg': { schema: Type.String({ format: 'binary' }) } } },
        },
      },
    },
    async (request, reply) => {
      const { id, event } = request.params;
      const jpeg = ports.events.still(event, id);
      if (jpeg === undefined) throw new AppError('SIGHTLINE_NOT_FOUND', 'there is no picture of this event (any more)');
      return reply
        .type('image/jpeg')
        .header('cache-control', 'no-store')
        .send(Buffer.from(jpeg) as never); // the answer is bytes, which no schema says
    },
  );
}

function momentUs(name: string, text: string): number {
  const ms = Date.parse(text);
  if (!Number.isFinite(ms)) throw new AppError('SIGHTLINE_REQUEST_INVALID', `\`${name}\` is no moment that there is`);
  return ms * 1000;
}

function placeOf(cursor: string): EventPlace {
  const [, timeUs, seq] = /^(\d{1,16})-(\d{1,15})$/.exec(cursor) ?? [];
  if (timeUs === undefined) throw new AppError('SIGHTLINE_REQUEST_INVALID', 'the cursor is not one that was given out');
  return { timeUs: Number(timeUs), seq: Number(seq) };
}
