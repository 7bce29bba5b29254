import { describe, expect, test } from 'vitest';
import {
  Authenticator,
  digestAuthorization,
  parseChallenges,
  type Challenge,
} from '../../../../services/ingest/adapters/relay/http-auth.ts';
import { CameraCredentials } from '../../../../services/ingest/core/camera-url.ts';

function challenge(value: string): Challenge {
  const [first] = parseChallenges([value]);
  if (first === undefined) throw new Error('no challenge');
  return first;
}

describe('digestAuthorization', () => {
  test('answers the example of RFC 2617 3.5', () => {
    const value =
      'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"';
    const header = digestAuthorization({
      username: 'Mufasa',
      password: 'Circle Of Life',
      method: 'GET',
      uri: '/dir/index.html',
      challenge: challenge(value),
      clientNonce: '0a4f113b',
      nonceCount: 1,
    });
    expect(header).toContain('response="6629fae49393a05397450978507c4ef1"');
    expect(header).toContain('nc=00000001');
    expect(header).toContain('opaque="5ccc069c403ebaf9f0171e9517f40e41"');
  });

  test.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ])('answers the %s example of RFC 7616 3.9.1', (algorithm, response) => {
    const header = digestAuthorization({
      username: 'Mufasa',
      password: 'Circle of Life',
      method: 'GET',
      uri: '/dir/index.html',
      challenge: challenge(
        `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
      ),
      clientNonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
      nonceCount: 1,
    });
    expect(header).toContain(`response="${response}"`);
  });

  test('answers a challenge without qop as RFC 2069 had it', () => {
    // HA1 = MD5(a:r:b), HA2 = MD5(DESCRIBE:rtsp://h/x), response = MD5(HA1:n:HA2)
    const header = digestAuthorization({
      username: 'a',
      password: 'b',
      method: 'DESCRIBE',
      uri: 'rtsp://h/x',
      challenge: challenge('Digest realm="r", nonce="n"'),
      clientNonce: 'c',
      nonceCount: 1,
    });
    expect(header).toMatch(/^Digest username="a", realm="r", nonce="n", uri="rtsp:\/\/h\/x", response="[0-9a-f]{32}"$/);
  });

  test('answers nothing that it does not know', () => {
    const rest = { username: 'a', password: 'b', method: 'GET', uri: '/', clientNonce: 'c', nonceCount: 1 };
    expect(
      digestAuthorization({ ...rest, challenge: challenge('Digest nonce="n", algorithm=SHA-512-256') }),
    ).toBeUndefined();
    expect(digestAuthorization({ ...rest, challenge: challenge('Digest nonce="n", qop="auth-int"') })).toBeUndefined();
  });
});

describe('parseChallenges', () => {
  test('tells several challenges in one header apart', () => {
    const found = parseChallenges(['Basic realm="a, b=c", Digest realm="x", nonce="\\"q\\"", stale=TRUE']);
    expect(found.map(({ scheme }) => scheme)).toEqual(['basic', 'digest']);
    expect(found[1]?.parameters.get('nonce')).toBe('"q"');
    expect(found[1]?.parameters.get('stale')).toBe('TRUE');
  });
});

describe('Authenticator', () => {
  const credentials = new CameraCredentials('user', 'pass');
  const basic = 'Basic realm="cam"';
  const digest = (nonce: string, more = '') => `Digest realm="cam", nonce="${nonce}"${more}`;

  test('prefers SHA-256, then MD5, then Basic', () => {
    const schemeFor = (...values: string[]) => {
      const authenticator = new Authenticator(credentials, true);
      authenticator.takeChallenge(values);
      return authenticator.headersFor('GET', '/')['Authorization'] ?? '';
    };
    expect(schemeFor(basic, digest('n'), digest('n', ', algorithm=SHA-256'))).toContain('algorithm=SHA-256');
    expect(schemeFor(basic, digest('n'))).toMatch(/^Digest/);
    expect(schemeFor(basic)).toBe(`Basic ${Buffer.from('user:pass').toString('base64')}`);
  });

  test('sends nothing before it was challenged', () => {
    expect(new Authenticator(credentials, true).headersFor('GET', '/')).toEqual({});
  });

  test('takes a second refusal as a wrong password', () => {
    const authenticator = new Authenticator(credentials, true);
    expect(authenticator.takeChallenge([basic])).toBe('answer');
    expect(authenticator.takeChallenge([basic])).toBe('wrong-credentials');
  });

  test('tries again when only the nonce was too old', () => {
    const authenticator = new Authenticator(credentials, true);
    authenticator.takeChallenge([digest('one')]);
    expect(authenticator.takeChallenge([digest('one', ', stale=true')])).toBe('answer');
    expect(authenticator.takeChallenge([digest('two')])).toBe('answer');
    expect(authenticator.takeChallenge([digest('two')])).toBe('wrong-credentials');
  });

  test('gives a password in clear to nobody but the host that the user named', () => {
    expect(new Authenticator(credentials, false).takeChallenge([basic])).toBe('unsupported');
  });

  test('says when there are no credentials', () => {
    expect(new Authenticator(null, true).takeChallenge([basic])).toBe('no-credentials');
  });
});
