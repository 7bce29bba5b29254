import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createMetricStore } from '#shared/core/metric-store';
import { systemClock } from '#shared/runtime/system-clock';
import { createSqliteCameraRegistry } from '#shared/store/sqlite-camera-registry';
import { startControl, type Control, type ControlOptions } from '../../../cli/run/control.ts';
import type { EmbeddedPipeline } from '../../../cli/run/embedded-pipeline.ts';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import { LiveHub } from '../../../services/control/core/live-hub.ts';
import { createCameraSpec } from '../../../services/ingest/core/camera-spec.ts';
import { silentLogger } from '../../support/ingest-doubles.ts';
import { registration } from '../../support/registrations.ts';
import { temporaryDirectory } from '../../support/run-sightline.ts';

/** What the API asked of ingest, in order. */
interface Asked {
  readonly what: 'put' | 'remove' | 'refuse';
  readonly id: string;
  readonly detail: string;
}

async function start(changes: Partial<ControlOptions> = {}) {
  const asked: Asked[] = [];
  const ingest: EmbeddedPipeline['ingest'] = {
    put: async ({ id, fps }) => void asked.push({ what: 'put', id, detail: String(fps) }),
    remove: async (id) => void asked.push({ what: 'remove', id, detail: '' }),
    refuse: async (id, { code }) => void asked.push({ what: 'refuse', id, detail: code }),
  };
  const stateDir = changes.stateDir ?? (await temporaryDirectory());
  const hub = new LiveHub(() => performance.now());
  const control = await startControl({
    ...{ host: '127.0.0.1', port: 0, isPortFree: false, stateDir, results: 'results', hub, clock: systemClock },
    ...{
      allowHttp: false,
      denyLoopback: false,
      denyPrivate: false,
      logger: silentLogger,
      metrics: createMetricStore(),
    },
    library: createModelLibrary({ directories: [] }),
    rollouts: undefined,
    oidc: undefined,
    rolloutLog: undefined,
    events: { max_count: 1_000, max_days: 1 },
    cameras: [createCameraSpec({ id: 'fixed', url: 'rtsp://192.0.2.1/' })],
    // What control uses of it.
    pipeline: { ingest, readiness: () => ({ ready: true }) } as EmbeddedPipeline,
    ...changes,
  });
  onTestFinished(() => control.close());
  return { control, asked, stateDir, hub, ...(await callerOf(control, stateDir)) };
}

async function callerOf(control: Control, stateDir: string) {
  const token = (await readFile(path.join(stateDir, 'local-token'), 'utf8')).trim();
  return {
    token,
    call: async (method: string, route: string, body?: unknown) => {
      const answer = await fetch(`${control.url}/api/v1${route}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return answer.status;
    },
  };
}

const untilAsked = (asked: readonly Asked[], ...expected: readonly string[]): Promise<void> =>
  vi.waitFor(
    () => expect(asked.map(({ what, id, detail }) => `${what} ${id} ${detail}`.trim())).toEqual(expected),
    20_000,
  );

test('what is changed by the API reaches ingest, and is there again at the next start', async () => {
  const { asked, call, control, stateDir } = await start();
  expect(await call('POST', '/cameras', { id: 'door', url: 'rtsp://192.0.2.9/', fps: 2, probe: false })).toBe(201);
  await untilAsked(asked, 'put door 2');
  expect(await call('PATCH', '/cameras/door', { fps: 3 })).toBe(200);
  expect(await call('POST', '/cameras/door/disable')).toBe(200);
  expect(await call('POST', '/cameras/door/enable')).toBe(200);
  await untilAsked(asked, 'put door 2', 'put door 3', 'remove door', 'put door 3');
  // Cameras of the settings are shown and left alone.
  expect(await call('DELETE', '/cameras/fixed')).toBe(409);
  await control.close();

  const again = await start({ stateDir });
  await untilAsked(again.asked, 'put door 3');
  expect(await again.call('DELETE', '/cameras/door')).toBe(204);
  await untilAsked(again.asked, 'put door 3', 'remove door');
});

test('a camera whose credentials cannot be opened is refused with the code, and the others run', async () => {
  const stateDir = await temporaryDirectory();
  const registry = createSqliteCameraRegistry({ stateDir, logger: silentLogger });
  await registry.put(registration({ camera_id: 'sealed', url: 'rtsp://user:pw@192.0.2.9/' }));
  await registry.put(registration({ camera_id: 'yard', url: 'rtsp://192.0.2.9/' }));
  await registry.close();
  const { asked } = await start({ stateDir });
  await vi.waitFor(() => expect(asked).toHaveLength(2), 20_000);
  expect(asked).toContainEqual({ what: 'refuse', id: 'sealed', detail: 'SIGHTLINE_SECRET_UNREADABLE' });
  expect(asked).toContainEqual({ what: 'put', id: 'yard', detail: '5' });
});

test('the token that is left for the command line is for its owner alone, and that of the run before is worth nothing', async () => {
  const first = await start();
  expect((await stat(path.join(first.stateDir, 'local-token'))).mode & 0o777).toBe(0o600);
  expect(first.control.link).toBe(`${first.control.url}/#token=${first.token}`);
  expect(await first.call('GET', '/me')).toBe(200);
  await first.control.close();
  const second = await start({ stateDir: first.stateDir });
  expect(await second.call('GET', '/me')).toBe(200);
  const old = await fetch(`${second.control.url}/api/v1/me`, { headers: { authorization: `Bearer ${first.token}` } });
  expect(old.status).toBe(401);
});

test('takes the next free port where none was asked for, and fails where it was', async () => {
  const first = await start();
  const port = Number(new URL(first.control.url).port);
  const next = await start({ port, isPortFree: true });
  expect(Number(new URL(next.control.url).port)).toBeGreaterThan(port);
  await expect(start({ port })).rejects.toMatchObject({ code: 'SIGHTLINE_PORT_UNAVAILABLE' });
});

test('files of this machine are cameras only for whoever sits at it', async () => {
  const body = { id: 'file', url: '/etc/hostname', probe: false };
  const elsewhere = await start({ host: '0.0.0.0' });
  expect(await elsewhere.call('POST', '/cameras', body)).toBe(400);
  const here = await start();
  expect(await here.call('POST', '/cameras', body)).toBe(201);
});
