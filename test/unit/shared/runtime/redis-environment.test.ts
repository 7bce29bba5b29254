import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readRedisEnvironment } from '#shared/runtime/redis-environment';

function file(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-test-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  writeFileSync(join(folder, 'file'), content);
  return join(folder, 'file');
}

test('there is no Redis where none is named', () => {
  expect(readRedisEnvironment({ REDIS_URL: '', PATH: '/bin' })).toBeUndefined();
});

test('an address has a host, and a port, database and user where they are not the usual ones', () => {
  expect(readRedisEnvironment({ REDIS_URL: 'redis://redis' })).toEqual({
    server: { host: 'redis', port: 6379 },
    database: 0,
  });
  expect(readRedisEnvironment({ REDIS_URL: 'rediss://me:a%2Fb@[::1]:7000/3' })).toEqual({
    server: { host: '::1', port: 7000 },
    database: 3,
    username: 'me',
    password: 'a/b',
    tls: {},
  });
});

test('Sentinels go before an address, and the password comes from a file without its line end', () => {
  const settings = readRedisEnvironment({
    REDIS_URL: 'redis://redis:6379',
    REDIS_SENTINELS: 'one:1, two',
    REDIS_SENTINEL_MASTER: 'cameras',
    REDIS_PASSWORD_FILE: file('secret word\n'),
    REDIS_TLS_CA: file('a certificate'),
  });
  expect(settings).toEqual({
    sentinels: {
      addresses: [
        { host: 'one', port: 1 },
        { host: 'two', port: 26_379 },
      ],
      master: 'cameras',
    },
    database: 0,
    password: 'secret word',
    tls: { ca: 'a certificate' },
  });
});

test.each([
  [{ REDIS_URL: 'http://redis' }, 'REDIS_URL'],
  [{ REDIS_URL: 'redis://redis/cameras' }, 'REDIS_URL'],
  [{ REDIS_SENTINELS: 'one:1' }, 'REDIS_SENTINEL_MASTER'],
  [{ REDIS_SENTINELS: 'one two', REDIS_SENTINEL_MASTER: 'a' }, 'REDIS_SENTINELS'],
  [{ REDIS_URL: 'redis://redis', REDIS_USERNAME: 'me' }, 'REDIS_PASSWORD'],
  [{ REDIS_URL: 'redis://redis', REDIS_TLS: 'maybe' }, 'REDIS_TLS'],
  [{ REDIS_URL: 'rediss://redis', REDIS_TLS: 'no' }, 'REDIS_TLS'],
  [{ REDIS_URL: 'redis://redis', REDIS_TLS_CERT_FILE: 'x' }, 'REDIS_TLS_CERT_FILE'],
  [{ REDIS_URL: 'redis://redis', REDIS_PASSWORD_FILE: '/nowhere/file' }, 'REDIS_PASSWORD_FILE'],
])('%j is refused, naming %s', (environment, name) => {
  expect(() => readRedisEnvironment(environment)).toThrow(`environment variable ${name} `);
});

test('no value is told, for it may be a password', () => {
  expect(() => readRedisEnvironment({ REDIS_URL: 'redis://me:hidden%@redis' })).toThrow(/^(?!.*hidden)/);
});
