import type { Static } from 'typebox';
import Value from 'typebox/value';
import { AppError, toAppError } from '#shared/core/errors';
import { maySeeCamera } from '../../../core/access.ts';
import { pageOf } from '../../../core/cursor.ts';
import type { CameraDraft as Draft, CameraEntry, CameraFigures } from '../../../core/ports.ts';
import {
  cameraExists,
  cameraUnknown,
  changeCamera as changeCameraOf,
  judgeCamera,
  registerCamera,
} from '../../../core/register-camera.ts';
import { callerOf, changeAll, changeCamera, read, recordAudit, type ApiPorts, type HttpApp } from '../app.ts';
import { EventStream } from '../event-stream.ts';
import { shownPath } from '../failures.ts';
import * as schema from '../schemas/cameras.ts';
import {
  CameraId,
  IdempotencyHeaders,
  IdParams,
  IfMatchHeaders,
  PageQuery,
  problems,
  strict,
} from '../schemas/common.ts';

const importBytes = 8 * 1024 * 1024;
const tags = ['cameras'];

export function addCameraRoutes(app: HttpApp, ports: ApiPorts): void {
  const shown = (camera: CameraEntry): Static<typeof schema.Camera> =>
    // The record of the topic is what the schema describes; its lists are read-only.
    ({
      ...camera,
      status: ports.live.status(camera.id) ?? null,
      figures: ratesOf(ports.live.figures(camera.id)),
      ...(ports.system.placementOf === undefined ? {} : { placement: ports.system.placementOf(camera.id) }),
    }) as Static<typeof schema.Camera>;
  const found = (id: string): CameraEntry => {
    const camera = ports.cameras.get(id);
    if (camera === undefined) throw cameraUnknown(id);
    return camera;
  };

  app.get(
    '/cameras',
    {
      config: { access: read },
      schema: {
        tags,
        summary: 'List cameras',
        querystring: strict(PageQuery),
        response: { ...problems(), 200: schema.CameraPage },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const visible = ports.cameras.list().filter(({ id }) => maySeeCamera(caller, id));
      const { limit = 100, cursor } = request.query;
      const page = pageOf(visible, ({ id }) => id, { limit, cursor });
      return { items: page.items.map(shown), next_cursor: page.next_cursor };
    },
  );

  app.post(
    '/cameras',
    {
      config: { access: changeAll, audit: 'camera.create', isIdempotent: true },
      schema: {
        tags,
        summary: 'Try a camera and register it',
        headers: IdempotencyHeaders,
        body: schema.NewCamera,
        response: { ...problems(409, 413, 415, 422), 201: schema.CameraCreated },
      },
    },
    async (request, reply) => {
      const { save_anyway: saveAnyway = false, probe = true, ...draft } = request.body;
      request.auditTarget = draft.id;
      const { camera, ...judgement } = await registerCamera(ports, draft, {
        saveAnyway,
        probe,
        signal: request.signal,
      });
      void reply.code(201).header('etag', etagOf(camera)).header('location', `/api/v1/cameras/${camera.id}`); // to chain on
      return { camera: shown(camera), ...judgement } as Static<typeof schema.CameraCreated>; // as in `shown`
    },
  );

  const probed = (body: Static<typeof schema.ProbeRequest>): Parameters<typeof judgeCamera>[1] => {
    const { id, url } = body;
    if (url !== undefined) {
      // What may not be registered may not be tried either: a file of this machine where those are not allowed.
      const { password } = body;
      const { allow_http: allowHttp } = body;
      ports.cameras.check({
        ...{ id: id ?? 'probe', url },
        ...(password === undefined ? {} : { password }),
        ...(allowHttp === undefined ? {} : { allow_http: allowHttp }),
      });
      return { ...body, url }; // what is absent is not undefined: it came as JSON
    }
    const known = id === undefined ? undefined : ports.cameras.draftOf(id);
    if (id !== undefined && known === undefined) throw cameraUnknown(id);
    if (known === undefined)
      throw new AppError('SIGHTLINE_REQUEST_INVALID', 'give a url, or the id of a camera that is registered');
    return { ...known, ...body, url: known.url };
  };
  app.post(
    '/cameras::probe',
    {
      config: { access: changeAll, audit: 'camera.probe' },
      schema: {
        tags,
        summary: 'Say whether a camera can be used, and keep nothing',
        description:
          'With `Accept: text/event-stream` each step is told as it ends (event `step`), then the answer (event `verdict`).',
        body: schema.ProbeRequest,
        response: { ...problems(404, 413, 415), 200: schema.ProbeAnswer },
      },
    },
    async (request, reply) => {
      const draft = probed(request.body);
      request.auditTarget = request.body.id ?? '';
      if (request.headers.accept?.includes('text/event-stream') !== true) {
        return (await judgeCamera(ports, draft, { probe: true, signal: request.signal })) as Static<
          typeof schema.ProbeAnswer
        >; // as in `shown`
      }
      recordAudit(ports, request, reply);
      const stream = new EventStream(reply);
      const gone = new AbortController();
      stream.onClose(() => gone.abort());
      try {
        const answer = await judgeCamera(ports, draft, {
          probe: true,
          signal: gone.signal,
          onStep: (step) => stream.send('step', step),
        });
        stream.send('verdict', answer);
      } catch (thrown) {
        const { code, message, action } = toAppError(thrown);
        stream.send('failure', { code, detail: message, action });
      } finally {
        stream.end();
      }
      return reply;
    },
  );

  app.post(
    '/cameras::import',
    {
      bodyLimit: importBytes,
      config: { access: changeAll, audit: 'camera.import', isIdempotent: true },
      schema: {
        tags,
        summary: 'Register many cameras; those that are wrong are named and stop none of the others',
        headers: IdempotencyHeaders,
        body: schema.ImportRequest,
        response: { ...problems(409, 413, 415), 200: schema.ImportAnswer },
      },
    },
    async (request) => {
      const { cameras, update = false } = request.body;
      const counts = { created: 0, updated: 0, failed: 0 };
      const errors: Static<typeof schema.ImportAnswer>['errors'] = [];
      for (const [index, line] of cameras.entries()) {
        try {
          const { wasThere } = await importOne(line, update);
          counts[wasThere ? 'updated' : 'created']++;
        } catch (thrown) {
          const { code, message } = toAppError(thrown);
          counts.failed++;
          errors.push({ index, id: idOf(line), code, detail: message });
        }
        // Thousands of cameras are not to keep other requests and frames waiting.
        if (index % 100 === 99) await new Promise(setImmediate);
      }
      return { ...counts, errors };
    },
  );

  async function importOne(
    line: unknown,
    update: boolean,
  ): Promise<{ readonly camera: CameraEntry; readonly wasThere: boolean }> {
    if (!Value.Check(schema.CameraDraft, line)) {
      const problem = Value.Errors(schema.CameraDraft, line)[0];
      throw new AppError(
        'SIGHTLINE_REQUEST_INVALID',
        `${shownPath(problem?.instancePath ?? '')} ${problem?.message ?? 'is wrong'}`.trim(),
      );
    }
    const draft = line as Draft; // just checked
    const wasThere = ports.cameras.get(draft.id) !== undefined;
    if (!wasThere) return { camera: await ports.cameras.create(draft), wasThere };
    if (!update) throw cameraExists(draft.id);
    const { id, ...patch } = draft;
    return { camera: await ports.cameras.update(id, patch), wasThere };
  }

  app.get(
    '/cameras::export',
    {
      config: { access: read, audit: 'camera.export' },
      schema: {
        tags,
        summary: 'All cameras, as an import takes them, without passwords',
        response: { ...problems(), 200: schema.ExportAnswer },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const cameras = ports.cameras.list().filter(({ id }) => maySeeCamera(caller, id));
      // The schema of the answer leaves out what an import does not take.
      return { cameras } as unknown as Static<typeof schema.ExportAnswer>;
    },
  );

  app.get(
    '/cameras/:id',
    {
      config: { access: { role: 'viewer', scope: 'camera' } },
      schema: { tags, summary: 'One camera', params: IdParams, response: { ...problems(404), 200: schema.Camera } },
    },
    async (request, reply) => {
      const camera = found(request.params.id);
      void reply.header('etag', etagOf(camera)); // to chain on
      return shown(camera);
    },
  );

  app.patch(
    '/cameras/:id',
    {
      config: { access: changeCamera, audit: 'camera.change' },
      schema: {
        tags,
        summary: 'Change a camera',
        params: IdParams,
        headers: IfMatchHeaders,
        body: schema.CameraPatch,
        response: { ...problems(404, 409, 412, 413, 415, 422), 200: schema.Camera },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { save_anyway: saveAnyway = false, probe = true, ...patch } = request.body;
      const camera = await changeCameraOf(ports, id, patch, {
        ...{ saveAnyway, probe, signal: request.signal },
        expectedVersion: expectedVersion(request.headers['if-match']),
      });
      void reply.header('etag', etagOf(camera)); // to chain on
      return shown(camera);
    },
  );

  app.delete(
    '/cameras/:id',
    {
      config: { access: changeCamera, audit: 'camera.remove' },
      schema: {
        tags,
        summary: 'Remove a camera',
        params: IdParams,
        headers: IfMatchHeaders,
        response: { ...problems(404, 409, 412), 204: { type: 'null', description: 'It is gone.' } },
      },
    },
    async (request, reply) => {
      await ports.cameras.remove(request.params.id, expectedVersion(request.headers['if-match']));
      return reply.code(204).send(null);
    },
  );

  for (const action of ['enable', 'disable'] as const) {
    app.post(
      `/cameras/:id/${action}`,
      {
        config: { access: changeCamera, audit: `camera.${action}`, isIdempotent: true },
        schema: {
          tags,
          summary: action === 'enable' ? 'Start reading a camera' : 'Stop reading a camera, and keep it',
          params: IdParams,
          headers: IdempotencyHeaders,
          response: { ...problems(404, 409), 200: schema.Camera },
        },
      },
      async (request, reply) => {
        const camera = await changeCameraOf(
          ports,
          request.params.id,
          { enabled: action === 'enable' },
          { saveAnyway: false, probe: false, signal: request.signal, expectedVersion: undefined },
        );
        void reply.header('etag', etagOf(camera)); // to chain on
        return shown(camera);
      },
    );
  }
}

function etagOf({ version }: CameraEntry): string {
  return `"${version}"`;
}

function expectedVersion(header: unknown): number | undefined {
  if (typeof header !== 'string' || header === '*') return undefined;
  const digits = /^(?:W\/)?"(\d{1,15})"$/.exec(header)?.[1];
  if (digits === undefined)
    throw new AppError('SIGHTLINE_REQUEST_INVALID', 'If-Match is an ETag as it was given, with its quotes');
  return Number(digits);
}

function idOf(line: unknown): string | null {
  const id = typeof line === 'object' && line !== null && 'id' in line ? line.id : null;
  // What cannot be an id may be an address in the wrong place, with its password.
  return Value.Check(CameraId, id) ? id : null;
}

/** The rates alone: the whole account of a camera has a route of its own. */
function ratesOf(
  figures: CameraFigures | undefined,
): Pick<CameraFigures, 'received_fps' | 'analysed_fps' | 'newest_capture_time'> | null {
  if (figures === undefined) return null;
  const { received_fps, analysed_fps, newest_capture_time } = figures;
  return { received_fps, analysed_fps, newest_capture_time };
}
