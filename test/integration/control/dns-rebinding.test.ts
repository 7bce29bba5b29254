import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '#shared/runtime/system-clock';
import { finderByRules, probeByRules } from '../../../cli/control/camera-rules.ts';
import { openCameraRelay } from '../../../services/ingest/adapters/relay/index.ts';
import { parseCameraUrl } from '../../../services/ingest/core/camera-url.ts';
import { startTestApi } from '../../support/control-doubles.ts';
import { silentLogger } from '../../support/ingest-doubles.ts';

/** What the resolver says, one answer after the other; the last one for ever. */
const answers: string[][] = [];
let asked = 0;
vi.mock(import('node:dns/promises'), async (original) => {
  const { lookup } = await original();
  return {
    ...(await original()),
    lookup: ((host: string, options: never) => {
      if (host !== 'camera.example') return lookup(host, options);
      const addresses = answers.length > 1 ? answers.shift() : answers[0];
      asked++;
      return Promise.resolve((addresses ?? []).map((address) => ({ address, family: 4 })));
    }) as typeof lookup,
  };
});

function resolves(...to: readonly (readonly string[])[]): void {
  answers.splice(0, answers.length, ...to.map((one) => [...one]));
  asked = 0;
}

const metadata = '169.254.169.254';
const rules = { allowHttp: true, denyLoopback: false, denyPrivate: false, clock: systemClock, logger: silentLogger };

/** Listens and answers nothing: that it was connected to is what counts. */
async function listener(): Promise<{ readonly port: number; readonly connections: () => number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.on('error', () => undefined);
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, connections: () => connections }; // a TCP server that listens
}

async function api() {
  const opened = await startTestApi({ probe: probeByRules(rules), finder: finderByRules(rules) });
  onTestFinished(() => opened.app.close());
  const headers = { authorization: `Bearer ${opened.tokenOf('operator')}` };
  return async (url: string, payload: object) => {
    const answer = await opened.app.inject({ method: 'POST', url, headers, payload });
    return { status: answer.statusCode, text: answer.body };
  };
}

test('the address that was judged is the one that is connected to, whatever the resolver says next', async () => {
  const { port, connections } = await listener();
  const post = await api();
  for (const scheme of ['rtsp', 'http']) {
    resolves(['127.0.0.1'], [metadata]);
    const before = connections();
    const url = `${scheme}://camera.example:${port}/stream`;
    const { text } = await post('/api/v1/cameras:probe', { url, allow_http: true });
    expect(text).not.toContain('NOT_ALLOWED');
    expect([connections() > before, text.includes(metadata)]).toEqual([true, false]);
    expect(asked).toBe(1);
  }
});

test('a name that leads to a forbidden address by now is refused when it is used, though it was well when it was registered', async () => {
  const { port, connections } = await listener();
  const post = await api();
  resolves(['127.0.0.1'], [metadata]);
  const url = `rtsp://camera.example:${port}/stream`;
  await post('/api/v1/cameras:probe', { url });
  const tried = connections();
  const camera = parseCameraUrl(url);
  const signal = AbortSignal.timeout(10_000);
  const opened = openCameraRelay(camera, {}, { logger: silentLogger, clock: systemClock, signal });
  await expect(opened).rejects.toMatchObject({ code: 'SIGHTLINE_CAMERA_NOT_ALLOWED' });
  const again = await post('/api/v1/cameras', { id: 'door', url, save_anyway: true });
  expect([again.status, again.text.includes('NOT_ALLOWED'), connections()]).toEqual([422, true, tried]);
});

test('of several addresses only those that are allowed are used; a search for streams keeps to it too', async () => {
  const { port, connections } = await listener();
  const post = await api();
  resolves([metadata, '127.0.0.1']);
  await post('/api/v1/cameras:probe', { url: `rtsp://camera.example:${port}/` });
  expect(connections()).toBeGreaterThan(0);
  resolves([metadata]);
  const { status, text } = await post('/api/v1/cameras:profiles', { host: 'camera.example', port: 80 });
  expect([status, text.includes('SIGHTLINE_CAMERA_NOT_ALLOWED')]).toEqual([422, true]);
});
