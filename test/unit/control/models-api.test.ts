import { expect, onTestFinished, test, vi } from 'vitest';
import type { Role } from '../../../services/control/core/access.ts';
import { startTestApi } from '../../support/control-doubles.ts';

// A server with all its routes takes seconds to make on a machine that is busy with other tests.
vi.setConfig({ testTimeout: 30_000 });

async function start() {
  const api = await startTestApi();
  onTestFinished(() => api.app.close());
  await api.cameras.create({ id: 'door', url: 'rtsp://192.0.2.1/stream' });
  await api.cameras.create({ id: 'yard', url: 'rtsp://192.0.2.2/stream' });
  const call = async (
    path: string,
    body?: unknown,
    role: Role = 'operator',
    cameras: readonly string[] | null = null,
  ) => {
    const answer = await api.app.inject({
      method: body === undefined ? 'GET' : 'POST',
      url: `/api/v1/models${path}`,
      headers: { authorization: `Bearer ${api.tokenOf(role, cameras)}` },
      ...(body === undefined ? {} : { payload: body as object }), // every body below is one
    });
    return { status: answer.statusCode, body: answer.json<Record<string, unknown>>() };
  };
  return { ...api, call };
}

test('a version goes from shadow to active and back, and every step says who and why', async () => {
  const { call, audit } = await start();
  const shadow = await call('/yolox-nano/2/shadow', { cameras: ['door'], reason: 'at night', gate: { min_frames: 7 } });
  expect(shadow).toMatchObject({
    status: 200,
    body: { step: { action: 'shadow', by: 'operator', reason: 'at night' } },
  });
  expect((await call('/rollout')).body).toMatchObject({
    active: { version: '1' },
    candidate: { mode: 'shadow', covered_cameras: ['door'], gate: { min_frames: 7 }, verdict: 'pending' },
  });
  expect(await call('/promote', {})).toMatchObject({ status: 409, body: { code: 'SIGHTLINE_ROLLOUT_REFUSED' } });
  expect((await call('/promote', { force: true })).body).toMatchObject({ rollout: { active: { version: '2' } } });
  expect((await call('')).body['items']).toMatchObject([
    { version: '2', state: 'ACTIVE', details: { changed_by: 'operator' } },
    { version: '1', state: 'REGISTERED' },
  ]);
  expect((await call('/rollback', { reason: 'misses bikes' })).body).toMatchObject({
    rollout: { active: { version: '1' } },
  });
  const history = (await call('/history?limit=2')).body;
  expect(history).toMatchObject({ items: [{ action: 'rollback' }, { action: 'promote' }], next_cursor: '3' });
  expect((await call('/history?cursor=3')).body).toMatchObject({
    items: [{ action: 'shadow' }, { by: 'start' }],
    next_cursor: null,
  });
  expect((await call('/yolox-nano/2')).body).toMatchObject({ model: { state: 'ROLLED_BACK' } });
  expect(audit.map(({ action, target, outcome }) => `${action} ${target} ${outcome}`)).toEqual([
    'model.shadow yolox-nano@2 ok',
    'model.promote  refused',
    'model.promote yolox-nano@2 ok',
    'model.rollback yolox-nano@2 ok',
  ]);
});

test('a step that names a version which is gone is refused, and the active model stays', async () => {
  const { call } = await start();
  await call('/yolox-nano/2/canary', {});
  expect(await call('/yolox-nano/1/promote', { force: true })).toMatchObject({ status: 409 });
  expect(await call('/yolox-nano/2/rollback', {})).toMatchObject({
    status: 200,
    body: { rollout: { candidate: null } },
  });
  expect(await call('/yolox-nano/2/rollback', {})).toMatchObject({
    status: 409,
    body: {
      code: 'SIGHTLINE_ROLLOUT_REFUSED',
      detail: 'yolox-nano@2 was rolled back already, by operator: rolled back',
    },
  });
  expect((await call('/rollout')).body).toMatchObject({ active: { version: '1' } });
});

test('retiring is for admins, other steps are for operators of all cameras', async () => {
  const { call } = await start();
  expect((await call('/yolox-nano/2/retire', {}, 'operator')).status).toBe(403);
  expect((await call('/yolox-nano/2/canary', {}, 'viewer')).status).toBe(403);
  expect((await call('/yolox-nano/2/canary', {}, 'operator', ['door'])).status).toBe(403);
  expect((await call('/yolox-nano/2/retire', {}, 'admin')).status).toBe(200);
});

test('a viewer of some cameras learns nothing of the others', async () => {
  const { call } = await start();
  await call('/yolox-nano/2/canary', { cameras: ['door', 'yard'] });
  const { body } = await call('/rollout', undefined, 'viewer', ['yard']);
  expect(body).toMatchObject({ candidate: { cameras: ['yard'], covered_cameras: ['yard'] } });
});

test('refuses what makes no sense, by code', async () => {
  const { call } = await start();
  for (const [path, body, status, code] of [
    ['/yolox-nano/9/activate', {}, 404, 'SIGHTLINE_MODEL_NOT_FOUND'],
    ['/yolox-nano/2/canary', { share: 2 }, 400, 'SIGHTLINE_REQUEST_INVALID'],
    ['/yolox-nano/2/canary', { share: 0.5, cameras: ['door'] }, 409, 'SIGHTLINE_ROLLOUT_REFUSED'],
    ['/yolox-nano/2/canary', { gate: { max_price: 1 } }, 400, 'SIGHTLINE_REQUEST_INVALID'],
    ['/yolox-nano/1/activate', {}, 409, 'SIGHTLINE_ROLLOUT_REFUSED'],
  ] as const)
    expect(await call(path, body), path).toMatchObject({ status, body: { code } });
});
