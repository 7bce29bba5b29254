import { generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Clock } from '#shared/core/clock';
import { systemClock } from '#shared/runtime/system-clock';
import { openIdentity } from '../../../cli/control/identity.ts';
import { judgeAccess, roles } from '../../../services/control/core/access.ts';
import { principalOf } from '../../../services/control/core/identity.ts';
import {
  createJwtIdentity,
  type JwtIdentity,
  type JwtIdentityOptions,
} from '../../../services/control/adapters/jose/jwt-identity.ts';
import { startTestApi, type TestApi } from '../../support/control-doubles.ts';
import { silentLogger } from '../../support/ingest-doubles.ts';
import { audience, startOidcIssuer, type OidcIssuer } from '../../support/oidc-issuer.ts';

vi.setConfig({ testTimeout: 30_000 });

let issuer: OidcIssuer;
let shared: TestApi;
let sharedIdentity: JwtIdentity;
beforeAll(async () => {
  issuer = await startOidcIssuer();
  sharedIdentity = await openTrusting(issuer);
  shared = await startTestApi({ identity: sharedIdentity });
});
afterAll(async () => {
  await shared.app.close();
  await sharedIdentity.close();
  await issuer.close();
});

async function trusting(of: OidcIssuer, more: Partial<JwtIdentityOptions> = {}): Promise<JwtIdentity> {
  const identity = await openTrusting(of, more);
  onTestFinished(() => identity.close());
  return identity;
}

async function openTrusting(of: OidcIssuer, more: Partial<JwtIdentityOptions> = {}): Promise<JwtIdentity> {
  const identity = createJwtIdentity({
    ...{ issuer: of.url, audience, clockSkewS: 30, clock: systemClock, logger: silentLogger },
    ...{ roleClaim: 'roles', nameClaim: 'email', camerasClaim: 'cameras' },
    roles: { watchers: 'viewer', keepers: 'operator', owners: 'admin' },
    ...more,
  });
  identity.start();
  if (of.isUp) await vi.waitFor(() => expect(identity.waitsFor).toBeUndefined(), 10_000);
  return identity;
}

const groups = { viewer: 'watchers', operator: 'keepers', admin: 'owners' } as const;
const nowS = (): number => Math.floor(Date.now() / 1000);

describe('a token of the issuer', () => {
  test('has the role and cameras that its claims say, on every route as a token of ours has', async () => {
    const api = await startTestApi({ identity: await trusting(issuer) });
    onTestFinished(() => api.app.close());
    await api.cameras.create({ id: 'door', url: 'rtsp://192.0.2.1/' });
    for (const role of roles) {
      for (const cameras of [null, ['other']]) {
        const token = await issuer.sign({ roles: [groups[role]], cameras: cameras ?? '*' });
        const principal = { tokenId: '', name: '', role, cameras, expiresAtMs: null };
        for (const { method, url, access } of api.routes.filter((one) => one.method === 'GET')) {
          const expected = judgeAccess(access, principal, 'door');
          if (access.role === 'public' || /\/(results|live|live\.mjpeg)$/.test(url)) continue;
          const target = url.replace(/:id\b/, 'door');
          const headers = { authorization: `Bearer ${token}` };
          const { statusCode: status } = await api.app.inject({ method: 'GET', url: target, headers });
          const what = `${method} ${url} by ${role} of ${JSON.stringify(cameras)}: ${status}`;
          if (expected === 'allowed') expect([401, 403], what).not.toContain(status);
          else expect([403, 404], what).toContain(status);
        }
      }
    }
    const me = await api.app.inject({
      url: '/api/v1/me',
      headers: { authorization: `Bearer ${await issuer.sign({ roles: 'keepers watchers' })}` },
    });
    // Without the claim that the settings name it covers no camera.
    expect(me.json()).toEqual({ token_id: 'jwt:u-1', name: 'ann@example.org', role: 'operator', cameras: [] });
  });

  test.each([
    ['expired', { exp: 1 }, 'SIGHTLINE_JWT_EXPIRED', 401],
    ['not valid yet', { nbf: nowS() + 600 }, 'SIGHTLINE_JWT_INVALID', 401],
    ['of another issuer', { iss: 'https://elsewhere.example' }, 'SIGHTLINE_JWT_INVALID', 401],
    ['for somebody else', { aud: 'another' }, 'SIGHTLINE_JWT_INVALID', 401],
    ['without an end', { exp: undefined }, 'SIGHTLINE_JWT_INVALID', 401],
    ['without a subject', { sub: undefined }, 'SIGHTLINE_JWT_INVALID', 401],
    ['of no group', { roles: ['visitors'] }, 'SIGHTLINE_JWT_NO_ROLE', 403],
    ['with a claim of another kind', { roles: { watchers: true } }, 'SIGHTLINE_JWT_NO_ROLE', 403],
    ['of a group with a name of objects', { roles: ['constructor'] }, 'SIGHTLINE_JWT_NO_ROLE', 403],
  ])('that is %s is refused with its code', async (_, claims, code, status) => {
    const token = await issuer.sign({ roles: ['owners'], ...claims });
    const answer = await shared.app.inject({ url: '/api/v1/me', headers: { authorization: `Bearer ${token}` } });
    expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([status, code]);
    expect(answer.body).not.toContain(token.split('.')[1]);
  });

  test('of another key, of none, or with a shared secret is refused, and such tries are slowed down', async () => {
    const api = await startTestApi({ identity: await trusting(issuer) });
    onTestFinished(() => api.app.close());
    const { privateKey } = await generateKeyPair('ES256');
    const usual = { iss: issuer.url, aud: audience, sub: 'u', exp: nowS() + 60, roles: ['owners'] };
    const payload = Buffer.from(JSON.stringify(usual)).toString('base64url');
    const secret = await new SignJWT(usual).setProtectedHeader({ alg: 'HS256', kid: 'key-1' }).sign(Buffer.alloc(32));
    const tokens = [
      await issuer.sign({ roles: ['owners'] }, { key: privateKey }),
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.AA`,
      secret,
      'a.b.c',
    ];
    const codes = new Set<number>();
    for (let tried = 0; tried < 24; tried++) {
      const headers = { authorization: `Bearer ${tokens[tried % tokens.length] ?? ''}` };
      codes.add((await api.app.inject({ url: '/api/v1/me', headers })).statusCode);
    }
    expect([...codes]).toEqual([401, 429]);
  });

  test('may be off by the clock skew that is configured, and by no more', async () => {
    const late = (byS: number): Clock => ({ ...systemClock, nowUs: () => systemClock.nowUs() + byS * 1e6 });
    const token = await issuer.sign({ roles: ['watchers'], exp: nowS() + 10 });
    await expect((await trusting(issuer, { clock: late(30) })).identify(token)).resolves.toMatchObject({
      role: 'viewer',
    });
    const tooLate = (await trusting(issuer, { clock: late(60) })).identify(token);
    await expect(tooLate).rejects.toMatchObject({ code: 'SIGHTLINE_JWT_EXPIRED' });
  });
});

describe('the keys of the issuer', () => {
  test('are fetched anew for a token with a new one, and not for each that names one that there is not', async () => {
    const own = await startOidcIssuer();
    onTestFinished(() => own.close());
    let nowMs = 0;
    const identity = await trusting(own, { clock: { ...systemClock, monotonicMs: () => nowMs } });
    await identity.identify(await own.sign({ roles: ['watchers'] }));
    await own.rotate();
    const token = await own.sign({ roles: ['watchers'] });
    for (let tried = 0; tried < 5; tried++)
      await expect(identity.identify(token)).rejects.toMatchObject({ code: 'SIGHTLINE_JWT_INVALID' });
    expect(own.keysAsked()).toBe(1);
    nowMs += 10_000;
    await expect(identity.identify(token)).resolves.toMatchObject({ role: 'viewer' });
    expect(own.keysAsked()).toBe(2);
  });

  test('hold while it is away; until they are known it is told that they are not', async () => {
    const own = await startOidcIssuer({ isUp: false });
    onTestFinished(() => own.close());
    const sleeps: (() => void)[] = [];
    const sleep = (): Promise<void> => new Promise((resolve) => sleeps.push(resolve));
    const identity = createJwtIdentity({
      ...{ issuer: own.url, audience, clockSkewS: 0, clock: { ...systemClock, sleep }, logger: silentLogger },
      ...{ roleClaim: 'roles', nameClaim: 'email', roles: { watchers: 'viewer' } },
    });
    identity.start();
    await vi.waitFor(() => expect(identity.waitsFor).toContain('answers with status 503'), 10_000);
    const token = await own.sign({ roles: ['watchers'] });
    await expect(identity.identify(token)).rejects.toMatchObject({ code: 'SIGHTLINE_IDENTITY_UNREACHABLE' });
    own.isUp = true;
    sleeps.shift()?.();
    await vi.waitFor(() => expect(identity.waitsFor).toBeUndefined(), 10_000);
    own.isUp = false;
    await expect(identity.identify(token)).resolves.toMatchObject({ role: 'viewer', cameras: null });
    const closed = identity.close();
    await vi.waitFor(() => expect(sleeps).not.toHaveLength(0), 10_000);
    sleeps.shift()?.();
    await closed;
  });
});

test('roles may lie within other claims, and the highest one holds', () => {
  const rules = { roleClaim: 'realm_access.roles', nameClaim: 'name', roles: { a: 'viewer', b: 'admin' } } as const;
  const claims = { sub: 'x\n1', realm_access: { roles: ['a', 'b', 5] }, name: 'Ann\u0007' };
  expect(principalOf({ ...claims, exp: 60 }, rules)).toEqual({
    ...{ tokenId: 'jwt:x1', name: 'Ann', role: 'admin', cameras: null, expiresAtMs: 60_000 },
  });
  const named = { ...rules, roleClaim: 'https://example.org/roles' };
  expect(principalOf({ sub: 'y', 'https://example.org/roles': 'a' }, named).role).toBe('viewer');
});

test('an issuer whose keys would come in the clear is refused at the start', async () => {
  const settings = {
    issuer: 'http://id.example.org',
    audience,
    roles: {},
    role_claim: 'roles',
    name_claim: 'email',
    clock_skew_s: 30,
  };
  const opened = openIdentity(settings, { clock: systemClock, logger: silentLogger });
  await expect(opened).rejects.toMatchObject({ code: 'SIGHTLINE_CONFIG_INVALID' });
});
