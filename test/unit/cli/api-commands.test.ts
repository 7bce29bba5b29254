import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { listen } from '../../../services/control/adapters/http/server.ts';
import { runApiCommand } from '../../support/api-commands.ts';
import { systemClock } from '#shared/runtime/system-clock';
import { startTestApi, unusable, type TestApi } from '../../support/control-doubles.ts';
import { makeModelRef } from '../../support/rollout-doubles.ts';

// Many requests each, and the machine may be busy.
vi.setConfig({ testTimeout: 30_000 });

let api: TestApi;
let url: string;
const folder = mkdtempSync(join(tmpdir(), 'sightline-api-commands-'));

beforeAll(async () => {
  api = await startTestApi();
  url = await listen(api.app, { host: '127.0.0.1', port: 0 });
  vi.stubEnv('SIGHTLINE_TOKEN', api.tokenOf('admin'));
  vi.stubEnv('SIGHTLINE_API', url);
  vi.stubEnv('KAFKA_BROKERS', undefined);
}, 30_000);

afterAll(async () => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
  await api.app.close();
});

async function ok(...args: readonly string[]): Promise<string> {
  const outcome = await runApiCommand(args);
  expect(outcome.error, outcome.stderr).toBeUndefined();
  return outcome.stdout;
}

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('cameras by the command line', () => {
  test('are added, shown, changed, switched, listed and removed', async () => {
    vi.stubEnv('DOOR_PASSWORD', 'p@ss/word');
    const added = await ok(
      'camera',
      'add',
      'door=rtsp://user:${DOOR_PASSWORD}@192.0.2.1/main',
      '--fps',
      '2',
      '--tag',
      'site=north',
    );
    expect(added).toMatch(/ok +dns[^]*usable: [^]*takes 0\.06 of 64 processors[^]*door: registered\n$/);
    expect(api.cameras.drafts.get('door')).toMatchObject({
      ...{ url: 'rtsp://user:p%40ss%2Fword@192.0.2.1/main', fps: 2, tags: { site: 'north' } },
    });
    await ok(
      'camera',
      'set',
      'door',
      '--fps',
      '29.97',
      '--tag',
      'floor=2',
      '--tag',
      'site=',
      '--no-loop',
      '--priority',
      '3',
    );
    expect(api.cameras.get('door')).toMatchObject({
      fps: 29.97,
      tags: { floor: '2' },
      loop: false,
      priority: 3,
      version: 2,
    });
    expect(await ok('camera', 'show', 'door')).toMatch(
      /^door\n +url +rtsp:\/\/192\.0\.2\.1\/main \(with credentials\)\n/,
    );
    await ok('camera', 'disable', 'door');
    expect(await ok('camera', 'list', '--state', 'disabled')).toMatch(/^camera[^]*\ndoor +DISABLED +29\.97 /);
    await ok('camera', 'enable', 'door');
    expect(JSON.parse(await ok('camera', 'list', '--json'))).toMatchObject([{ id: 'door', enabled: true }]);
    expect(await ok('camera', 'remove', 'door')).toBe('door: removed\n');
    expect(await ok('camera', 'list')).toMatch(/^camera[^\n]*\n$/);
  });

  test('are added by their make, with the password from the environment', async () => {
    vi.stubEnv('SIGHTLINE_CAMERA_PASSWORD', 'Canary-12');
    const added = await ok(
      'camera',
      'add',
      'gate1',
      '--make',
      'hikvision',
      '--host',
      '192.0.2.5:8554',
      '--stream',
      'sub',
      '--user',
      'a b',
    );
    vi.stubEnv('SIGHTLINE_CAMERA_PASSWORD', undefined);
    expect(added).not.toContain('Canary-12');
    expect(api.cameras.drafts.get('gate1')).toMatchObject({
      ...{ url: 'rtsp://a%20b@192.0.2.5:8554/Streaming/Channels/102', password: 'Canary-12' },
    });
    const make = ['camera', 'add', 'gate2', '--make', 'reolink', '--channel', '3', '--host', '2001:db8::1'];
    await ok(...make);
    expect(api.cameras.drafts.get('gate2')?.url).toBe('rtsp://[2001:db8::1]/Preview_03_main');
    for (const wrong of [
      ['--make', 'acme', '--host', 'x'],
      ['--make', 'dahua'],
      ['--host', 'x'],
      ['--make', 'tapo', '--host', 'x', '--channel', '2'],
    ])
      expect((await runApiCommand(['camera', 'add', 'gate3', ...wrong])).error?.code).toBe('SIGHTLINE_USAGE');
    expect(await ok('camera', 'templates')).toContain('/cam/realmonitor?channel={channel}&subtype=0');
    await ok('camera', 'remove', 'gate1', 'gate2');
  });

  test('a change that was made on another version is refused', async () => {
    await api.cameras.create({ id: 'yard', url: 'rtsp://192.0.2.1/' });
    onTestFinished(() => api.cameras.remove('yard'));
    const { error } = await runApiCommand(['camera', 'set', 'yard', '--fps', '3', '--if-version', '7']);
    expect(error?.code).toBe('SIGHTLINE_CAMERA_CHANGED');
  });

  test('one that cannot be used is told with its steps and what to do, and never with its password', async () => {
    const refusing = await startTestApi({ verdict: unusable });
    onTestFinished(() => refusing.app.close());
    const there = await listen(refusing.app, { host: '127.0.0.1', port: 0 });
    vi.stubEnv('SIGHTLINE_TOKEN', refusing.tokenOf('operator'));
    const outcome = await runApiCommand(['camera', 'add', 'x=rtsp://u:Canary-7@192.0.2.1/', '--url', there]);
    vi.stubEnv('SIGHTLINE_TOKEN', api.tokenOf('admin'));
    expect(outcome.error).toMatchObject({ code: 'SIGHTLINE_CAMERA_NOT_USABLE', action: 'Check the password.' });
    expect(outcome.stderr).toContain('dns');
    expect(JSON.stringify([outcome, outcome.error?.message])).not.toContain('Canary-7');
  });

  test('are exported as they are imported; those that are wrong are named by their place', async () => {
    const yaml = `cameras:\n  a: { url: 'rtsp://192.0.2.1/a' }\n  b: { uri: x }\n  c: { url: 'rtsp://192.0.2.1/c', fps: 3 }\n`;
    const outcome = await runApiCommand(['camera', 'import', file('cameras.yaml', yaml)]);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stdout).toMatch(/^camera 2 \(b\): .*url.*\n2 registered, 0 changed, 1 not taken\n$/);
    const exported = await ok('camera', 'export');
    expect(JSON.parse(exported)).toMatchObject({ cameras: [{ id: 'a' }, { id: 'c', fps: 3 }] });
    expect(await ok('camera', 'import', file('again.json', exported), '--update')).toBe(
      '0 registered, 2 changed, 0 not taken\n',
    );
    await ok('camera', 'remove', 'a', 'c');
  });

  test('a registered camera is tried by the API, step by step', async () => {
    await api.cameras.create({ id: 'gate', url: 'rtsp://192.0.2.1/' });
    onTestFinished(() => api.cameras.remove('gate'));
    const { stdout, exitCode } = await runApiCommand(['camera', 'probe', 'gate']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/ok +dns +1 ms {2}ok\nusable: h264 640x480/);
  });
});

test('events are listed by kind and time, and followed from a moment on', async () => {
  const step = { share: 1, cameras: null, gate: null, by: 'ann', model: makeModelRef('yolox-nano', '9') };
  const timeUs = systemClock.nowUs();
  api.events.step({ ...step, revision: 1, action: 'shadow', reason: '', timeUs });
  api.events.step({ ...step, revision: 2, action: 'promote', reason: 'better', timeUs: timeUs + 1 });
  const lines = (await ok('events', 'list', '--kind', 'model')).split('\n');
  expect(lines[0]).toMatch(/^\S+Z {2}INFO +model\.promoted +- {2}yolox-nano@9: better$/);
  expect(lines[1]).toContain('model.shadow');
  expect(await ok('events', 'list', '--until', '1h')).toBe('');
  expect(JSON.parse(await ok('events', 'list', '--limit', '1', '--json'))).toMatchObject({ kind: 'model.promoted' });
  const wrong = await runApiCommand(['events', 'list', '--kind', 'modle']);
  expect(wrong.error).toMatchObject({
    code: 'SIGHTLINE_REQUEST_INVALID',
    action: expect.stringContaining('model') as unknown,
  });
  const tail = ['events', 'tail', '--since', '1h', '--kind', 'model', '--json'];
  const told = (await runApiCommand(tail, 'promoted')).stdout.trim().split('\n');
  expect(told.map((line) => (JSON.parse(line) as { kind: string }).kind)).toEqual(['model.shadow', 'model.promoted']);
});

test('status tells cameras and load, to a token of some cameras the cameras alone', async () => {
  await api.cameras.create({ id: 'dock', url: 'rtsp://192.0.2.1/' });
  onTestFinished(() => api.cameras.remove('dock'));
  expect(await ok('status')).toMatch(/^Sightline 0, embedded[^]*1 cameras: 1 unknown[^]*\ndock +UNKNOWN +5\.0 +4\.5/);
  expect(JSON.parse(await ok('status', '--json'))).toMatchObject({
    system: { mode: 'embedded' },
    cameras: [{ id: 'dock' }],
  });
  const token = file('token', `${api.tokenOf('viewer', ['dock'])}\n`);
  expect(await ok('status', '--token-file', token)).toMatch(/^camera[^\n]*\ndock /);
});

test('a token is printed alone on standard output, works within its limits, and is worth nothing once revoked', async () => {
  const text = await ok('token', 'create', 'ci', '--role', 'viewer', '--camera', 'dock', '--expires', '30d');
  expect(text).toMatch(/^sl_[0-9a-f]{12}_\S{43}\n$/);
  const path = file('ci-token', text);
  expect((await runApiCommand(['token', 'list', '--token-file', path])).error?.code).toBe('SIGHTLINE_FORBIDDEN');
  const id = text.split('_')[1] ?? '';
  expect(await ok('token', 'list')).toMatch(new RegExp(`${id} +viewer +ci +dock`));
  await ok('token', 'revoke', id);
  expect((await runApiCommand(['camera', 'list', '--token-file', path])).error?.code).toBe('SIGHTLINE_UNAUTHENTICATED');
});

test('the audit log is printed, exported and checked, here and there', async () => {
  await ok('camera', 'add', 'hall=rtsp://192.0.2.1/');
  await ok('camera', 'remove', 'hall');
  expect(await ok('audit', 'tail', '-n', '2')).toMatch(
    /camera\.create hall {2}ok 201\n[^\n]*camera\.remove hall {2}ok 204\n$/,
  );
  expect(await ok('audit', 'verify')).toMatch(/^intact: \d+ entries, last hash [0-9a-f]{64}\n$/);
  const exported = await ok('audit', 'export');
  expect(await ok('audit', 'verify', '--file', file('audit.jsonl', exported))).toMatch(/^intact/);
  const changed = file('changed.jsonl', exported.replace('"camera.create"', '"camera.view"'));
  expect((await runApiCommand(['audit', 'verify', '--file', changed])).error?.code).toBe('SIGHTLINE_AUDIT_BROKEN');
});

describe('where the API is not', () => {
  test('nothing listens: the command says where it looked and how to start one', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo; // of a TCP server
    await new Promise((resolve) => server.close(resolve));
    const { error } = await runApiCommand(['status', '--url', `http://127.0.0.1:${port}`]);
    expect(error).toMatchObject({
      code: 'SIGHTLINE_API_UNREACHABLE',
      message: `no Sightline API at http://127.0.0.1:${port} (ECONNREFUSED)`,
      action: expect.stringMatching(/npm start.*--url/) as unknown,
    });
  });

  test('another server answers, or leads elsewhere: it gets no further request and the token goes nowhere else', async () => {
    const asked: string[] = [];
    const other = createServer((request, response) => {
      asked.push(request.url ?? '');
      if (request.url?.includes('tokens') === true) response.writeHead(302, { location: url }).end();
      else response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>hello</h1>');
    });
    onTestFinished(() => void other.close());
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo; // of a TCP server
    const there = `http://127.0.0.1:${port}`;
    expect((await runApiCommand(['camera', 'list', '--url', there])).error?.code).toBe('SIGHTLINE_API_ANSWER');
    expect((await runApiCommand(['token', 'list', '--url', there])).error?.code).toBe('SIGHTLINE_API_UNREACHABLE');
    expect(asked).toHaveLength(2);
  });
});
