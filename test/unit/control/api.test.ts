import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { judgeAccess, roles, type Role } from '../../../services/control/core/access.ts';
import { verifyChain } from '../../../services/control/core/audit-chain.ts';
import { startTestApi, unusable, type TestApi, type TestApiOptions } from '../../support/control-doubles.ts';

// A server each, and the machine may be busy.
vi.setConfig({ testTimeout: 30_000 });

const opened: TestApi[] = [];
afterEach(async () => {
  for (const api of opened.splice(0)) await api.app.close();
});

async function start(options: TestApiOptions = {}): Promise<TestApi> {
  const api = await startTestApi(options);
  opened.push(api);
  return api;
}

interface Call {
  readonly method: string;
  readonly url: string;
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

async function call(api: TestApi, { method, url, token, body, headers }: Call) {
  const answer = await api.app.inject({
    // Of the routes' own table.
    method: method as 'GET',
    url,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: answer.statusCode, headers: answer.headers, text: answer.body };
}

function json(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

/** Answers that never end are asked only where they are refused. */
const isStream = (url: string): boolean => /\/(results|live|live\.mjpeg)$/.test(url);
const camera = { id: 'door', url: 'rtsp://user:pw@192.0.2.1/stream' };

describe('the document', () => {
  test('in docs/ is the one that the routes give', async () => {
    const api = await start();
    const kept: unknown = JSON.parse(readFileSync('docs/openapi.json', 'utf8'));
    // Made with SIGHTLINE_UPDATE=1 npx vitest run test/unit/control/api.test.ts
    if (process.env['SIGHTLINE_UPDATE'] === '1') {
      const { writeFileSync } = await import('node:fs');
      writeFileSync('docs/openapi.json', `${JSON.stringify(api.document, undefined, 2)}\n`);
    } else {
      expect(JSON.parse(JSON.stringify(api.document))).toEqual(kept);
    }
  });
});

describe('who may do what', () => {
  test('each role on each route, and cameras out of scope, as the table says', async () => {
    const api = await start();
    await api.cameras.create(camera);
    const callers: { role: Role | undefined; cameras: readonly string[] | null }[] = [
      { role: undefined, cameras: null },
      ...roles.map((role) => ({ role, cameras: null })),
      ...roles.map((role) => ({ role, cameras: ['other'] })),
    ];
    let tried = 0;
    for (const { method, url, access } of api.routes.filter(({ method: one }) => one !== 'HEAD')) {
      const target = url.replace(/:id\b/, url.includes('/tokens/') ? '000000000000' : 'door');
      for (const { role, cameras } of callers) {
        const principal =
          role === undefined ? undefined : { tokenId: 'x', name: 'x', role, cameras, expiresAtMs: null };
        const expected = judgeAccess(access, principal, 'door');
        if (expected === 'allowed' && isStream(url)) continue;
        const token = role === undefined ? undefined : api.tokenOf(role, cameras);
        const { status } = await call(api, { method, url: target, ...(token === undefined ? {} : { token }) });
        const what = `${method} ${url} by ${role ?? 'nobody'} of ${JSON.stringify(cameras)}`;
        tried++;
        if (expected === 'allowed') expect([401, 403], what).not.toContain(status);
        else if (expected === 'unauthenticated') expect(status, what).toBe(401);
        else if (expected === 'out-of-scope' && access.scope === 'camera') expect(status, what).toBe(404);
        else expect(status, what).toBe(403);
        if (api.cameras.get('door') === undefined) await api.cameras.create(camera);
      }
    }
    expect(tried).toBeGreaterThan(150);
  }, 30_000);

  test('a camera comes with its rates', async () => {
    const api = await start();
    await api.cameras.create(camera);
    const { status, text } = await call(api, {
      method: 'GET',
      url: '/api/v1/cameras/door',
      token: api.tokenOf('viewer'),
    });
    expect(status).toBe(200);
    expect(json(text)['figures']).toEqual({
      ...{ received_fps: 5, analysed_fps: 4.5, newest_capture_time: 1_767_225_600_000_000 },
    });
  });

  test('a list holds only the cameras of the token', async () => {
    const api = await start();
    await api.cameras.create(camera);
    await api.cameras.create({ ...camera, id: 'yard' });
    const { text } = await call(api, { method: 'GET', url: '/api/v1/cameras', token: api.tokenOf('viewer', ['yard']) });
    expect(text).toContain('yard');
    expect(text).not.toContain('door');
  });

  test('a revoked token is worth nothing', async () => {
    const api = await start();
    const token = api.tokenOf('admin');
    const other = api.tokenOf('viewer');
    const id = other.split('_')[1] ?? '';
    expect((await call(api, { method: 'DELETE', url: `/api/v1/tokens/${id}`, token })).status).toBe(204);
    expect((await call(api, { method: 'GET', url: '/api/v1/me', token: other })).status).toBe(401);
  });

  test('wrong tokens are slowed down', async () => {
    const api = await start();
    const token = `sl_000000000000_${'A'.repeat(43)}`;
    const statuses = new Set<number>();
    for (let tried = 0; tried < 25; tried++)
      statuses.add((await call(api, { method: 'GET', url: '/api/v1/me', token })).status);
    expect([...statuses]).toEqual([401, 429]);
  });
});

describe('registering a camera', () => {
  test('one that cannot be used is refused with the verdict, and kept when that is asked for', async () => {
    const api = await start({ verdict: unusable });
    const token = api.tokenOf('operator');
    const refused = await call(api, { method: 'POST', url: '/api/v1/cameras', token, body: camera });
    expect(refused.status).toBe(422);
    expect(json(refused.text)).toMatchObject({ code: 'SIGHTLINE_CAMERA_NOT_USABLE', verdict: { reason_code: 'AUTH' } });
    expect(api.cameras.list()).toEqual([]);
    const body = { ...camera, save_anyway: true };
    expect((await call(api, { method: 'POST', url: '/api/v1/cameras', token, body })).status).toBe(201);
  });

  test('a forbidden address is not kept whatever is asked for', async () => {
    const api = await start({ verdict: { ...unusable, reason_code: 'NOT_ALLOWED' } });
    const body = { ...camera, save_anyway: true };
    const { status } = await call(api, { method: 'POST', url: '/api/v1/cameras', token: api.tokenOf('admin'), body });
    expect(status).toBe(422);
    expect(api.cameras.list()).toEqual([]);
  });

  test('where no capacity is left it is refused with the numbers', async () => {
    const api = await start({ cores: 0.1 });
    const { status, text } = await call(api, {
      method: 'POST',
      url: '/api/v1/cameras',
      token: api.tokenOf('operator'),
      body: camera,
    });
    expect(status).toBe(409);
    expect(json(text)).toMatchObject({
      code: 'SIGHTLINE_CAPACITY_EXHAUSTED',
      cost: { cores: 0.15, fits: false },
      capacity: { free_cores: 0.09 },
    });
  });

  test('a repeat with the same key changes nothing, another request with it is refused', async () => {
    const api = await start();
    const token = api.tokenOf('operator');
    const headers = { 'idempotency-key': 'k1' };
    const first = await call(api, { method: 'POST', url: '/api/v1/cameras', token, body: camera, headers });
    const again = await call(api, { method: 'POST', url: '/api/v1/cameras', token, body: camera, headers });
    expect([again.status, again.text, again.headers.etag]).toEqual([201, first.text, first.headers.etag]);
    const other = await call(api, {
      method: 'POST',
      url: '/api/v1/cameras',
      token,
      body: { ...camera, id: 'x' },
      headers,
    });
    expect(json(other.text)['code']).toBe('SIGHTLINE_IDEMPOTENCY_CONFLICT');
  });

  test('a change on an older version is refused with 412', async () => {
    const api = await start();
    const token = api.tokenOf('operator');
    await api.cameras.create(camera);
    const change = {
      method: 'PATCH',
      url: '/api/v1/cameras/door',
      token,
      body: { fps: 3 },
      headers: { 'if-match': '"1"' },
    };
    expect((await call(api, change)).status).toBe(200);
    const late = await call(api, change);
    expect([late.status, json(late.text)['code']]).toEqual([412, 'SIGHTLINE_CAMERA_CHANGED']);
  });

  test('a change of where its stream comes from is tried like a new camera, and kept all the same when that is asked for', async () => {
    const api = await start({ verdict: unusable });
    const token = api.tokenOf('operator');
    await api.cameras.create(camera);
    const change = { method: 'PATCH', url: '/api/v1/cameras/door', token };
    for (const body of [{ url: 'rtsp://192.0.2.9/' }, { password: 'other' }, { transport: 'udp' }]) {
      const refused = await call(api, { ...change, body });
      expect(refused.status).toBe(422);
      expect(json(refused.text)).toMatchObject({
        code: 'SIGHTLINE_CAMERA_NOT_USABLE',
        verdict: { reason_code: 'AUTH' },
      });
    }
    expect(api.cameras.get('door')?.version).toBe(1);
    // Neither touches the stream: what is sent back as it was shown, and a camera that is off.
    expect((await call(api, { ...change, body: { fps: 2, url: 'rtsp://192.0.2.1/stream' } })).status).toBe(200);
    expect((await call(api, { ...change, body: { url: 'rtsp://192.0.2.9/', enabled: false } })).status).toBe(200);
    for (const more of [{ save_anyway: true }, { probe: false }])
      expect((await call(api, { ...change, body: { url: 'rtsp://192.0.2.8/', ...more } })).status).toBe(200);
  });

  test('more frames, and switching a camera on, ask for capacity', async () => {
    const api = await start({ cores: 0.1 });
    const token = api.tokenOf('operator');
    await api.cameras.create({ ...camera, fps: 2 });
    const change = { method: 'PATCH', url: '/api/v1/cameras/door', token };
    const more = await call(api, { ...change, body: { fps: 5 } });
    expect([more.status, json(more.text)['code']]).toEqual([409, 'SIGHTLINE_CAPACITY_EXHAUSTED']);
    expect((await call(api, { ...change, body: { fps: 1 } })).status).toBe(200);
    expect((await call(api, { ...change, body: { fps: 9, enabled: false } })).status).toBe(200);
    const enable = { method: 'POST', url: '/api/v1/cameras/door/enable', token };
    expect((await call(api, enable)).status).toBe(409);
    expect((await call(api, { ...change, body: { enabled: true, save_anyway: true } })).status).toBe(200);
    expect((await call(api, enable)).status).toBe(200);
  });

  test('an import of 10,000 with 3 wrong lines names those 3', async () => {
    const api = await start();
    const cameras: unknown[] = Array.from({ length: 10_000 }, (_, at) => ({ ...camera, id: `c${at}` }));
    cameras[17] = { id: 'c17' };
    cameras[4_000] = { ...camera, id: 'not a name' };
    cameras[9_999] = { ...camera, id: 'c9999', fps: 'fast' };
    const { status, text } = await call(api, {
      method: 'POST',
      url: '/api/v1/cameras:import',
      token: api.tokenOf('operator'),
      body: { cameras },
    });
    expect(status).toBe(200);
    const answer = json(text) as { created: number; errors: { index: number }[] };
    expect(answer.created).toBe(9_997);
    expect(answer.errors.map(({ index }) => index)).toEqual([17, 4_000, 9_999]);
  }, 30_000);
});

describe('bad requests', () => {
  test.each([
    ['{"id":', 400],
    ['[]', 400],
    ['{"id":"a","url":"rtsp://h/","nonsense":1}', 400],
    ['{"id":"a","url":5}', 400],
    ['{"id":"../etc","url":"rtsp://h/"}', 400],
    [`{"id":"a","url":"rtsp://h/","__proto__":{"x":1}}`, 400],
    [JSON.stringify({ id: 'a', url: 'x'.repeat(2_000_000) }), 413],
  ])('%.40s is refused as a problem', async (body, expected) => {
    const api = await start();
    const { status, text, headers } = await call(api, {
      method: 'POST',
      url: '/api/v1/cameras',
      token: api.tokenOf('admin'),
      body,
    });
    expect(status).toBe(expected);
    expect(headers['content-type']).toContain('application/problem+json');
    expect(json(text)).toMatchObject({ status: expected, action: expect.any(String) as unknown });
    expect(api.logged).toEqual([]);
  });

  test('pages follow each other without a gap', async () => {
    const api = await start();
    for (const id of ['a', 'b', 'c', 'd', 'e']) await api.cameras.create({ ...camera, id });
    const token = api.tokenOf('viewer');
    const seen: string[] = [];
    for (let url: string | undefined = '/api/v1/cameras?limit=2'; url !== undefined;) {
      const page = json((await call(api, { method: 'GET', url, token })).text) as {
        items: { id: string }[];
        next_cursor: string | null;
      };
      seen.push(...page.items.map(({ id }) => id));
      url = page.next_cursor === null ? undefined : `/api/v1/cameras?limit=2&cursor=${page.next_cursor}`;
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e']);
  });
});

test('the audit log says who did what, and shows that it was changed', async () => {
  const api = await start();
  const token = api.tokenOf('operator');
  await call(api, { method: 'POST', url: '/api/v1/cameras', token, body: camera });
  await call(api, { method: 'POST', url: '/api/v1/tokens', token, body: { name: 'x', role: 'admin' } });
  expect(api.audit.map(({ action, target, outcome }) => [action, target, outcome])).toEqual([
    ['camera.create', 'door', 'ok'],
    ['token.create', '', 'refused'],
  ]);
  expect(verifyChain(api.audit)).toMatchObject({ intact: true, entries: 2 });
  const [first, ...others] = api.audit;
  expect(verifyChain([{ ...first, actor: 'somebody else' } as (typeof api.audit)[number], ...others])).toMatchObject({
    intact: false,
    seq: 1,
  });
  expect(verifyChain(others)).toMatchObject({ intact: false });
});
