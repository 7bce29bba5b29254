import type { OutgoingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import websocket from '@fastify/websocket';
import { Type } from 'typebox';
import type { DetectionFrame } from '#schemas';
import { AppError } from '#shared/core/errors';
import { maySeeCamera } from '../../../core/access.ts';
import type { LivePicture } from '../../../core/ports.ts';
import { cameraUnknown } from '../../../core/register-camera.ts';
import { watchAccess } from '../access-watch.ts';
import { callerOf, read, readCamera, recordAudit, type ApiPorts, type HttpApp } from '../app.ts';
import { EventStream } from '../event-stream.ts';
import { Accounting } from '../schemas/cameras.ts';
import { CameraId, IdParams, nullable, problems, strict } from '../schemas/common.ts';
import { CameraStatusRecord, DetectionFrameRecord } from '../schemas/records.ts';

/** Streams of results and events at once; each costs a socket and, when slow, a quarter of a megabyte. */
const maxResultClients = 500;
/** Watchers of live pictures at once. */
const maxViewers = 64;
const pictureTimeoutMs = 5_000;
/** Timers of Node count to 24 days. */
const longestWaitMs = 60_000;
/** A viewer that takes nothing for so long is gone. */
const stalledMs = 60_000;
/** Of WebSocket, RFC 6455. */
const policyViolation = 1008;
const tags = ['live'];

/** What is used of a WebSocket; the library's own types are not among our packages. */
interface LiveSocket {
  readonly bufferedAmount: number;
  send(data: Uint8Array): void;
  close(code: number, reason: string): void;
  terminate(): void;
  once(event: 'close', listener: () => void): void;
  on(event: 'error', listener: () => void): void;
}

/** One who looks at a camera. */
interface Viewer {
  readonly fps?: number;
  readonly signal: AbortSignal;
  /** Of what was sent and has not left yet. */
  waitingBytes(): number;
  send(picture: LivePicture): void;
  cutOff(): void;
}

export interface LiveCounts {
  resultClients: number;
  eventsDropped: number;
  viewers: number;
  picturesDropped: number;
}

/** Counts one who listens in. Throws where there are too many; gives what counts it out. */
export function enterStream(counts: LiveCounts): () => void {
  if (counts.resultClients >= maxResultClients)
    throw new AppError('SIGHTLINE_RATE_LIMITED', `${maxResultClients} clients listen already`);
  counts.resultClients++;
  return () => {
    counts.resultClients--;
  };
}

export async function addLiveRoutes(app: HttpApp, ports: ApiPorts, counts: LiveCounts): Promise<void> {
  const known = (id: string): void => {
    if (ports.cameras.get(id) === undefined) throw cameraUnknown(id);
  };

  app.get(
    '/cameras/:id/status',
    {
      config: { access: readCamera },
      schema: {
        tags,
        summary: 'State of a camera, with the reason in words; null before the first',
        params: IdParams,
        response: {
          ...problems(404),
          200: strict({ status: nullable(CameraStatusRecord) }, { title: 'StatusAnswer' }),
        },
      },
    },
    async (request) => {
      known(request.params.id);
      return { status: (ports.live.status(request.params.id) ?? null) as never }; // the record is what the schema describes
    },
  );

  app.get(
    '/cameras/:id/accounting',
    {
      config: { access: readCamera },
      schema: {
        tags,
        summary: 'What became of the frames of a camera',
        params: IdParams,
        response: { ...problems(404), 200: Accounting },
      },
    },
    async (request) => {
      const { id } = request.params;
      known(id);
      const none = {
        ...{ received_fps: 0, analysed_fps: 0, frames_received: 0, frames_analysed: 0, frames_filtered: 0 },
        ...{ frames_dropped: 0, frames_expired: 0, frames_failed: 0, drops_by_reason: {}, decode_errors: 0 },
      };
      const { newest_capture_time: _, ...figures } = { newest_capture_time: null, ...(ports.live.figures(id) ?? none) };
      return { camera_id: id, ...figures };
    },
  );

  app.get(
    '/cameras/:id/history',
    {
      config: { access: readCamera, audit: 'results.view' },
      schema: {
        tags,
        summary: 'The last results of a camera, oldest first',
        params: IdParams,
        querystring: strict({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 600 })) }),
        response: { ...problems(404), 200: strict({ items: Type.Array(DetectionFrameRecord) }, { title: 'History' }) },
      },
    },
    async (request) => {
      known(request.params.id);
      return { items: ports.live.history(request.params.id, request.query.limit ?? 300) as never }; // as above
    },
  );

  app.get(
    '/cameras/:id/snapshot.jpg',
    {
      config: { access: readCamera, audit: 'live.snapshot' },
      schema: {
        tags,
        summary: 'The next picture of a camera',
        params: IdParams,
        response: {
          ...problems(404, 503),
          200: { description: 'A JPEG.', content: { 'image/jpeg': { schema: Type.String({ format: 'binary' }) } } },
        },
      },
    },
    async (request, reply) => {
      known(request.params.id);
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(pictureTimeoutMs)]);
      const picture = await ports.live.nextPicture(request.params.id, signal);
      if (picture === undefined)
        throw new AppError('SIGHTLINE_NO_PICTURE', 'no picture came in time', { retryable: true });
      return reply
        .type('image/jpeg')
        .header('cache-control', 'no-store')
        .send(Buffer.from(picture.jpeg) as never); // the answer is bytes, which no schema says
    },
  );

  /**
   * Hands on pictures until the signal. Nothing queues up for a viewer: while the one before is still on its way to it, those that come are
   * counted as missed, and it gets the newest of the time when it is ready again. Between two that it asked for none is asked for: a picture
   * costs most where it is made.
   */
  async function show(id: string, viewer: Viewer): Promise<void> {
    const { fps = Infinity, signal } = viewer;
    const intervalMs = 1000 / fps;
    let dueMs = 0;
    let takenMs = performance.now();
    while (!signal.aborted) {
      // Half an interval early is still in time: else a camera of exactly this rate would lose pictures by its jitter.
      const earlyMs = dueMs - intervalMs / 2 - performance.now();
      if (earlyMs > 0) await sleep(Math.min(earlyMs, longestWaitMs), undefined, { signal }).catch(() => undefined);
      if (earlyMs > longestWaitMs) continue;
      const picture = await ports.live.nextPicture(id, signal);
      if (picture === undefined) continue;
      const nowMs = performance.now();
      if (viewer.waitingBytes() > 0) {
        counts.picturesDropped++;
        if (nowMs - takenMs > stalledMs) viewer.cutOff();
        continue;
      }
      takenMs = nowMs;
      dueMs = Math.max(dueMs, nowMs - intervalMs) + intervalMs;
      viewer.send(picture);
    }
  }
  const enter = (): void => {
    if (counts.viewers >= maxViewers)
      throw new AppError('SIGHTLINE_RATE_LIMITED', `${maxViewers} people watch already`);
    counts.viewers++;
  };
  const LiveQuery = strict({
    fps: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 120,
        description: 'At most so many pictures a second. Default: all.',
      }),
    ),
  });

  app.get(
    '/cameras/:id/live.mjpeg',
    {
      config: { access: readCamera, audit: 'live.view' },
      schema: {
        tags,
        summary: 'Live pictures as MJPEG',
        params: IdParams,
        querystring: LiveQuery,
        response: {
          ...problems(404),
          200: {
            description: 'multipart/x-mixed-replace',
            content: { 'multipart/x-mixed-replace': { schema: Type.String({ format: 'binary' }) } },
          },
        },
      },
    },
    async (request, reply) => {
      known(request.params.id);
      enter();
      const gone = new AbortController();
      const unwatch = watchAccess(ports, request, () => reply.raw.destroy());
      reply.raw.once('close', () => {
        counts.viewers--;
        unwatch();
        gone.abort();
      });
      reply.raw.on('error', () => gone.abort());
      recordAudit(ports, request, reply);
      reply.hijack();
      reply.raw.writeHead(200, {
        ...(reply.getHeaders() as OutgoingHttpHeaders), // what was set is what node takes
        'content-type': 'multipart/x-mixed-replace; boundary=frame',
        'cache-control': 'no-store',
      });
      // A camera that is down sends nothing that they could ride on.
      reply.raw.flushHeaders();
      await show(request.params.id, {
        ...request.query,
        signal: gone.signal,
        waitingBytes: () => reply.raw.writableLength,
        cutOff: () => reply.raw.destroy(),
        send({ jpeg }) {
          const head = `--frame\r\ncontent-type: image/jpeg\r\ncontent-length: ${jpeg.byteLength}\r\n\r\n`;
          reply.raw.write(Buffer.concat([Buffer.from(head), jpeg, Buffer.from('\r\n')]));
        },
      });
      return reply;
    },
  );

  await app.register(websocket, {
    options: {
      maxPayload: 1024,
      // One of the protocols has to be taken up; the one that carries the token must not come back.
      handleProtocols: (offered: Set<string>) =>
        [...offered].find((protocol) => protocol.startsWith('sightline.live.')) ?? false,
    },
  });
  // In a plugin of its own: the routes of one that is registered later are the ones that it sees.
  await app.register(async (inner: HttpApp) => {
    inner.get(
      '/cameras/:id/live',
      {
        websocket: true,
        config: { access: readCamera, audit: 'live.view' },
        preValidation: async (request) => known(request.params.id),
        schema: {
          tags,
          summary: 'Live pictures with their results (WebSocket)',
          description:
            'Each message: the length of the JSON (4 bytes, big-endian), the JSON of the result, and the JPEG of exactly that frame. Browsers give the protocols `sightline.live.v1` and `bearer.TOKEN`.',
          params: IdParams,
          querystring: LiveQuery,
          response: problems(404),
        },
      },
      (socket: LiveSocket, request) => {
        if (counts.viewers >= maxViewers) {
          socket.close(1013, 'too many watch already');
          return;
        }
        counts.viewers++;
        const gone = new AbortController();
        const unwatch = watchAccess(ports, request, () =>
          socket.close(policyViolation, 'the token is not valid any more'),
        );
        socket.once('close', () => {
          counts.viewers--;
          unwatch();
          gone.abort();
        });
        socket.on('error', () => socket.terminate());
        recordAudit(ports, request, { statusCode: 200 });
        const shown = show(request.params.id, {
          ...request.query,
          signal: gone.signal,
          waitingBytes: () => socket.bufferedAmount,
          cutOff: () => socket.terminate(),
          send: (picture) => socket.send(liveMessage(picture)),
        });
        shown.catch((error: unknown) => {
          ports.logger.error({ err: error }, 'a live view failed');
          socket.terminate();
        });
      },
    );
  });

  // The same record goes to many: it is made text once.
  const texts = new WeakMap<DetectionFrame, string>();
  const textOf = (record: DetectionFrame): string => {
    let text = texts.get(record);
    if (text === undefined) texts.set(record, (text = JSON.stringify(record)));
    return text;
  };
  app.get(
    '/results',
    {
      config: { access: read, audit: 'results.stream' },
      schema: {
        tags,
        summary: 'Results as they come (server-sent events)',
        description:
          'Event `result` with a DetectionFrame, `status` with a CameraStatus, `dropped` with the number that this client was too slow for. What happened before, and Last-Event-ID, is not replayed: read the topic or the files for that.',
        querystring: strict({
          camera: Type.Optional(CameraId),
          class: Type.Optional(
            Type.String({ minLength: 1, maxLength: 100, description: 'Only frames with an object of this class.' }),
          ),
        }),
        response: {
          ...problems(404),
          200: { description: 'Events.', content: { 'text/event-stream': { schema: DetectionFrameRecord } } },
        },
      },
    },
    async (request, reply) => {
      const { camera, class: className } = request.query;
      const caller = callerOf(request);
      if (camera !== undefined && !maySeeCamera(caller, camera)) throw cameraUnknown(camera);
      if (camera !== undefined) known(camera);
      const leave = enterStream(counts);
      recordAudit(ports, request, reply);
      const stream = new EventStream(reply, (count) => (counts.eventsDropped += count));
      const wants = (id: string): boolean => (camera === undefined || camera === id) && maySeeCamera(caller, id);
      const subscriptions = [
        ports.live.onResult((record: DetectionFrame) => {
          if (!wants(record.header.camera_id)) return;
          if (className !== undefined && !record.objects.some((object) => object.class_name === className)) return;
          stream.sendText('result', textOf(record), record.header.message_id);
        }),
        ports.live.onStatus((status) => {
          if (wants(status.camera_id)) stream.send('status', status, status.message_id);
        }),
      ];
      const unwatch = watchAccess(ports, request, () => stream.cutOff());
      stream.onClose(() => {
        leave();
        unwatch();
        for (const subscription of subscriptions) subscription.close();
      });
      return reply;
    },
  );
}

/** The same picture goes to all who watch the camera: its message is made once. */
const messages = new WeakMap<LivePicture, Buffer>();

function liveMessage(picture: LivePicture): Buffer {
  let message = messages.get(picture);
  if (message === undefined) {
    const json = Buffer.from(JSON.stringify(picture.result));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(json.byteLength);
    message = Buffer.concat([length, json, picture.jpeg]);
    messages.set(picture, message);
  }
  return message;
}
