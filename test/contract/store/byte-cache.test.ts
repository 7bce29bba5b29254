import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { maxCachedBytes, type ByteCache } from '#shared/core/byte-cache';
import { createMetricStore } from '#shared/core/metric-store';
import { systemClock } from '#shared/runtime/system-clock';
import { createMemoryByteCache } from '#shared/store/memory-byte-cache';
import { openRedisByteCache } from '#shared/store/redis/redis-byte-cache';
import type { RedisSettings } from '#shared/store/redis/redis-settings';
import { redisUnavailable, startRedis, type RedisServer } from '../../support/redis-server.ts';
import { createKeptLogger } from '../../support/silent-logger.ts';

const minute = 60_000;
const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
const plain = (value: Uint8Array | string): readonly number[] | string =>
  typeof value === 'string' ? value : [...value];

function describeByteCacheContract(name: string, open: () => Promise<ByteCache>): void {
  describe(`byte cache contract: ${name}`, () => {
    test('gives back what was put, to the byte', async () => {
      const cache = await open();
      const value = Uint8Array.from({ length: 256 }, (_, index) => index);
      expect(await cache.put('a', value, minute)).toBe('kept');
      expect(plain(await cache.get('a'))).toEqual([...value]);
      expect(await cache.get('b')).toBe('miss');
    });

    test('keeps the newest value of a key, and an empty one', async () => {
      const cache = await open();
      await cache.put('a', bytes(1), minute);
      await cache.put('a', bytes(), minute);
      expect(plain(await cache.get('a'))).toEqual([]);
    });

    test('forgets a value when its time is over', async () => {
      const cache = await open();
      await cache.put('a', bytes(1), 20);
      await vi.waitFor(async () => {
        expect(await cache.get('a')).toBe('miss');
      });
    });

    test('refuses a value that is too large', async () => {
      const cache = await open();
      expect(await cache.put('a', new Uint8Array(maxCachedBytes + 1), minute)).toBe('refused');
      expect(await cache.get('a')).toBe('miss');
    });

    test('may be closed twice', async () => {
      const cache = await open();
      await cache.close();
      await expect(cache.close()).resolves.toBeUndefined();
    });
  });
}

describeByteCacheContract('in memory', () => Promise.resolve(createMemoryByteCache({ maxBytes: 4 * 1024 * 1024 })));

test('the cache in memory lets what was written first go when it is full', async () => {
  const cache = createMemoryByteCache({ maxBytes: 3 });
  await cache.put('a', bytes(1, 1), minute);
  await cache.put('b', bytes(2, 2), minute);
  expect([await cache.get('a'), plain(await cache.get('b'))]).toEqual(['miss', [2, 2]]);
});

const missing = redisUnavailable();
if (missing !== undefined) process.stderr.write(`${missing}\n`);

async function server(...args: Parameters<typeof startRedis>): Promise<RedisServer> {
  const started = await startRedis(...args);
  onTestFinished(() => started.stop());
  return started;
}

interface Opened {
  readonly cache: ByteCache;
  readonly lines: readonly string[];
}

async function openOn(settings: Omit<RedisSettings, 'database'>): Promise<Opened> {
  const { logger, lines } = createKeptLogger();
  const metrics = createMetricStore();
  const cache = await openRedisByteCache({
    settings: { database: 0, ...settings },
    prefix: 'test:',
    clock: systemClock,
    logger,
    metrics,
  });
  onTestFinished(() => cache.close());
  return { cache, lines };
}

const at = ({ port }: RedisServer) => ({ server: { host: '127.0.0.1', port } });

function untilItWorks(cache: ByteCache, timeout = 10_000): Promise<void> {
  return vi.waitFor(() => {
    expect(cache.trouble).toBeUndefined();
  }, timeout);
}

function untilTrouble(cache: ByteCache): Promise<void> {
  return vi.waitFor(async () => {
    expect(await cache.get('a')).toBe('unavailable');
  }, 5_000);
}

describe.skipIf(missing !== undefined)('redis', () => {
  describeByteCacheContract('redis', async () => {
    const { cache } = await openOn(at(await server()));
    await untilItWorks(cache);
    return cache;
  });

  test('a server that is not there yet is an ordinary outcome, and it is used when it comes', async () => {
    const redis = await server();
    await redis.kill();
    const { cache, lines } = await openOn(at(redis));
    expect([await cache.get('a'), await cache.put('a', bytes(1), minute)]).toEqual(['unavailable', 'unavailable']);
    await redis.restart();
    await untilItWorks(cache);
    expect(await cache.put('a', bytes(1), minute)).toBe('kept');
    await vi.waitFor(() => {
      expect(lines.map((line) => line.split(' {')[0])).toEqual([
        'going on without the cache in Redis',
        'the cache in Redis works again',
      ]);
    });
  });

  test('a server that freezes holds callers up once, answers nobody at all then, and is used again when it wakes', async () => {
    const redis = await server();
    const { cache } = await openOn(at(redis));
    await untilItWorks(cache);
    redis.freeze();
    expect(await cache.get('a')).toBe('unavailable');
    // Would take five minutes, were each to wait for its time-out.
    for (let count = 0; count < 600; count++) expect(await cache.get('a')).toBe('unavailable');
    redis.thaw();
    await untilItWorks(cache);
    expect(await cache.put('a', bytes(1), minute)).toBe('kept');
  });

  test('a full server refuses new values and still gives the old ones', async () => {
    const redis = await server(['maxmemory-policy noeviction']);
    const { cache } = await openOn(at(redis));
    await untilItWorks(cache);
    await cache.put('a', bytes(1), minute);
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1');
    expect(await cache.put('b', bytes(2), minute)).toBe('refused');
    expect(plain(await cache.get('a'))).toEqual([1]);
    expect(cache.trouble).toBeUndefined();
  });

  test('a server that became read-only is away until it takes writes again', async () => {
    const [primary, redis] = [await server(), await server()];
    const { cache } = await openOn(at(redis));
    await untilItWorks(cache);
    await redis.ask('REPLICAOF', '127.0.0.1', String(primary.port));
    expect(await cache.put('a', bytes(1), minute)).toBe('unavailable');
    await untilTrouble(cache);
    await redis.ask('REPLICAOF', 'NO', 'ONE');
    await untilItWorks(cache);
    expect(await cache.put('a', bytes(1), minute)).toBe('kept');
  });

  test('writes go to the new primary when the Sentinels have replaced a frozen one', async () => {
    const primary = await server();
    const replica = await server([`replicaof 127.0.0.1 ${String(primary.port)}`]);
    const sentinels = await Promise.all(
      [1, 2, 3].map(() =>
        server(
          [
            `sentinel monitor cameras 127.0.0.1 ${String(primary.port)} 2`,
            'sentinel down-after-milliseconds cameras 2000',
            'sentinel failover-timeout cameras 4000',
          ],
          { isSentinel: true },
        ),
      ),
    );
    const [first] = sentinels;
    await vi.waitFor(
      async () => {
        const words = (await first?.ask('SENTINEL', 'MASTER', 'cameras')) ?? '';
        expect(words).toMatch(/num-slaves\r\n\$1\r\n1\r\n[^]*num-other-sentinels\r\n\$1\r\n2\r\n/);
      },
      { timeout: 20_000, interval: 200 },
    );
    const addresses = sentinels.map(({ port }) => ({ host: '127.0.0.1', port }));
    const { cache } = await openOn({ sentinels: { addresses, master: 'cameras' } });
    await untilItWorks(cache);
    expect(await cache.put('a', bytes(1), minute)).toBe('kept');
    primary.freeze();
    await untilTrouble(cache);
    await untilItWorks(cache, 30_000);
    expect(await cache.put('b', bytes(2), minute)).toBe('kept');
    expect(await replica.ask('GET', 'test:b')).toContain('\u0002');
  }, 60_000);

  describe('with TLS and a user of few rights', () => {
    async function secured(): Promise<{ redis: RedisServer; ca: string }> {
      const folder = await mkdtemp(join(tmpdir(), 'sightline-redis-tls-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
      const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
      spawnSync('openssl', [...request, '-days', '2', '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
      const redis = await server(
        [
          `tls-cert-file ${cert}`,
          `tls-key-file ${key}`,
          `tls-ca-cert-file ${cert}`,
          'tls-auth-clients no',
          'user default off',
          'user sightline on >right-word ~test:* -@all +get +set +hello',
        ],
        { isTls: true },
      );
      return { redis, ca: await readFile(cert, 'utf8') };
    }

    test('works with the certificate of the server and the right password', async () => {
      const { redis, ca } = await secured();
      const { cache } = await openOn({ ...at(redis), tls: { ca }, username: 'sightline', password: 'right-word' });
      await untilItWorks(cache);
      await cache.put('a', bytes(1), minute);
      expect(plain(await cache.get('a'))).toEqual([1]);
    });

    test('is away with a wrong password, or a certificate that nobody vouches for, and tells no secret', async () => {
      const { redis, ca } = await secured();
      const wrong = await openOn({ ...at(redis), tls: { ca }, username: 'sightline', password: 'wrong-word' });
      const unknown = await openOn({ ...at(redis), tls: {}, username: 'sightline', password: 'right-word' });
      for (const { cache, lines } of [wrong, unknown]) {
        await vi.waitFor(() => {
          expect(lines.length).toBeGreaterThan(0);
        });
        expect(await cache.get('a')).toBe('unavailable');
        expect(lines.join('\n')).not.toMatch(/(right|wrong)-word/);
      }
    });
  });
});
