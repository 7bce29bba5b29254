import { expect, test, vi } from 'vitest';
import { createMemoryCameraRegistry } from '#shared/store/memory-camera-registry';
import { registrationRules } from '../../../cli/control/camera-rules.ts';
import { LiveHub } from '../../../services/control/core/live-hub.ts';
import { openRegisteredCameras } from '../../../services/control/core/registered-cameras.ts';
import { systemClock } from '#shared/runtime/system-clock';
import { listen } from '../../../services/control/adapters/http/server.ts';
import { startTestApi, unusable } from '../../support/control-doubles.ts';
import { silentLogger } from '../../support/ingest-doubles.ts';
import { testSecretBox } from '../../support/registrations.ts';

vi.setConfig({ testTimeout: 30_000 });

const canary = 'Canary-9f3b';
const url = `rtsp://user:${canary}@192.0.2.1/live?password=${canary}`;
const whole = { id: 'door', url, password: canary };
/** Of each route that takes a body: right ones, and some with the password where it does not belong. */
const bodies: readonly unknown[] = [
  { ...whole, save_anyway: true },
  { url, password: canary, save_anyway: true },
  { id: 'door', url },
  {
    cameras: [
      whole,
      { ...whole, id: 'yard', fps: canary },
      { ...whole, id: canary + '!', tags: { [canary + '!']: 1 } },
    ],
  },
  { cameras: [whole], update: true },
  { ...whole, fps: canary },
  { ...whole, [canary]: canary },
  { name: 'x', role: canary, cameras: [url] },
  { password: 5, url: { canary } },
  canary,
];

test('the password of a camera goes in by every route and comes out of none', async () => {
  const registry = createMemoryCameraRegistry(silentLogger);
  const rules = { secretBox: testSecretBox, clock: systemClock, allowHttp: false, allowFiles: true };
  const directory = await openRegisteredCameras({ registry, fromFile: [], ...registrationRules(rules) });
  const api = await startTestApi({ verdict: unusable, directory, live: new LiveHub(() => performance.now()) });
  try {
    const base = await listen(api.app, { host: '127.0.0.1', port: 0 });
    const token = api.tokenOf('admin');
    const told: string[] = [];
    const call = async (method: string, path: string, body?: unknown, accept = '*/*'): Promise<void> => {
      const isStream = /\/(?:results|live\.mjpeg|snapshot\.jpg)$/.test(path);
      const answer = await fetch(base + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          accept,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(isStream ? 200 : 10_000),
      }).catch(() => undefined);
      // Of a stream, what it says at first.
      told.push(
        `${method} ${path}`,
        JSON.stringify([...(answer?.headers ?? [])]),
        (await answer?.text().catch(() => '')) ?? '',
      );
    };
    const sendsBody = new Set(['POST', 'PUT', 'PATCH']);
    // What removes the camera comes last.
    const routes = api.routes.toSorted(
      (one, other) => Number(one.method === 'DELETE') - Number(other.method === 'DELETE'),
    );
    for (const { method, url: path } of routes) {
      if (method === 'HEAD') continue;
      const target = path.replace(':id', path.includes('/tokens/') ? '000000000000' : 'door');
      await directory.create(whole).catch(() => undefined);
      if (!sendsBody.has(method)) await call(method, target);
      else {
        for (const body of bodies) await call(method, target, body);
        if (target.endsWith(':probe'))
          await call(method, target, { id: 'door', password: canary }, 'text/event-stream');
      }
      await call(method, `${target}?cursor=${canary}&limit=${canary}&camera=${canary}!`);
    }
    expect(told.join('\n')).toContain('192.0.2.1');
    expect(told.length).toBeGreaterThan(3 * 100);
    const stored = JSON.stringify(await registry.list());
    const seen = `${told.join('\n')}${JSON.stringify([api.audit, api.logged])}${stored}`;
    const places = seen.split('\n').filter((line) => line.includes(canary) && !/^[A-Z]+ \/\S+\?cursor=/.test(line));
    expect(places).toEqual([]);
  } finally {
    await api.app.close();
    directory.close();
  }
});
