import type { Redis } from 'ioredis';
import { maxCachedBytes, type ByteCache } from '#shared/core/byte-cache';
import type { Clock } from '#shared/core/clock';
import type { Logger } from '#shared/core/logger';
import type { Metrics } from '#shared/core/metrics';
import type { RedisSettings } from './redis-settings.ts';

export interface RedisByteCacheOptions {
  readonly settings: RedisSettings;
  /** What all keys begin with, so that installations can share a server. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** No frame waits longer than this for Redis, and after the first that did none waits at all until it answers again. */
const commandTimeoutMs = 500;
const connectTimeoutMs = 2_000;
const longestReconnectMs = 2_000;
const probeEveryMs = 500;
/** A host that went away without a word leaves a connection that looks alive for a quarter of an hour. */
const probesBeforeReconnect = 3;
/** Commands under way at most; above it a call is answered as if Redis were away. */
const maxInFlight = 256;

/**
 * A cache in Redis, or in the primary that Sentinels name. Opening it does not wait for Redis. While Redis does not answer, calls end at
 * once and one ping every half second asks whether it is back.
 */
export async function openRedisByteCache(options: RedisByteCacheOptions): Promise<ByteCache> {
  // Loaded here: only those who have a Redis pay for its client.
  const { Redis } = await import('ioredis');
  return new RedisByteCache(new Redis(clientOptions(options.settings)), options);
}

class RedisByteCache implements ByteCache {
  readonly #client: Redis;
  readonly #options: RedisByteCacheOptions;
  readonly #count: (outcome: string) => void;
  readonly #closing = new AbortController();
  #trouble: string | undefined = 'not connected yet';
  #isTold = false;
  #inFlight = 0;
  #probing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(client: Redis, options: RedisByteCacheOptions) {
    this.#client = client;
    this.#options = options;
    const requests = options.metrics.counter({
      name: 'sightline_redis_requests_total',
      help: 'Calls of the cache in Redis, by outcome.',
      labels: ['outcome'],
    });
    this.#count = (outcome) => {
      requests.with({ outcome }).add();
    };
    options.metrics
      .gauge({ name: 'sightline_redis_up', help: '1 while Redis answers.' })
      .with({})
      .follow(() => (this.#trouble === undefined ? 1 : 0));
    // Every fault also comes out of a command or the probe; without a listener the client would print them.
    client.on('error', (error: Error) => {
      this.#fail(error);
    });
    client.on('end', () => undefined);
    client.connect().catch((error: unknown) => {
      this.#fail(error);
    });
    this.#probe();
  }

  get trouble(): string | undefined {
    return this.#trouble;
  }

  async get(key: string): Promise<Uint8Array | 'miss' | 'unavailable'> {
    const found = await this.#call(() => this.#client.getBuffer(this.#options.prefix + key));
    if (found === unavailable) return this.#counted('unavailable');
    if (found === null) return this.#counted('miss');
    this.#count('hit');
    return found;
  }

  async put(key: string, value: Uint8Array, ttlMs: number): Promise<'kept' | 'refused' | 'unavailable'> {
    if (value.byteLength > maxCachedBytes) return this.#counted('refused');
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const done = await this.#call(async () => {
      try {
        await this.#client.set(this.#options.prefix + key, bytes, 'PX', Math.max(1, Math.round(ttlMs)));
        return 'kept';
      } catch (error) {
        // Full is no outage: what is there can still be read.
        if (!startsWith(error, 'OOM')) throw error;
        return 'refused';
      }
    });
    return this.#counted(done === unavailable ? 'unavailable' : done);
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#closing.abort();
      // Not QUIT: a frozen server would not answer it.
      this.#client.disconnect();
      await this.#probing;
    })();
    return this.#closed;
  }

  #counted<Outcome extends string>(outcome: Outcome): Outcome {
    this.#count(outcome);
    return outcome;
  }

  async #call<T>(work: () => Promise<T>): Promise<T | typeof unavailable> {
    if (this.#trouble !== undefined || this.#closing.signal.aborted || this.#inFlight >= maxInFlight)
      return unavailable;
    this.#inFlight++;
    try {
      return await work();
    } catch (error) {
      this.#fail(error);
      return unavailable;
    } finally {
      this.#inFlight--;
    }
  }

  #fail(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    // The client's words name hosts and commands, no keys and no password.
    this.#trouble = `Redis does not answer: ${error instanceof Error ? error.message : String(error)}`;
    if (!this.#isTold) this.#options.logger.warn({ reason: this.#trouble }, 'going on without the cache in Redis');
    this.#isTold = true;
    this.#probe();
  }

  /** Asks until Redis answers; one at a time. */
  #probe(): void {
    this.#probing ??= this.#ask().finally(() => {
      this.#probing = undefined;
    });
  }

  async #ask(): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted;) {
      try {
        // A write: a primary that became a replica answers pings.
        await this.#client.set(`${this.#options.prefix}probe`, '1', 'PX', 1_000);
        break;
      } catch (error) {
        if (startsWith(error, 'OOM')) break;
        this.#trouble = `Redis does not answer: ${error instanceof Error ? error.message : String(error)}`;
        failures++;
        if (failures % probesBeforeReconnect === 0 && this.#client.status === 'ready') this.#client.disconnect(true);
      }
      await clock.sleep(probeEveryMs, signal).catch(() => undefined);
    }
    if (signal.aborted) return;
    this.#trouble = undefined;
    if (this.#isTold) logger.info({}, 'the cache in Redis works again');
    this.#isTold = false;
  }
}

const unavailable = Symbol('unavailable');

/** Redis has no codes but the first word of its errors. */
function startsWith(error: unknown, word: string): boolean {
  return error instanceof Error && error.message.startsWith(word);
}

function clientOptions(settings: RedisSettings) {
  const { server, sentinels, database, username, password, tls } = settings;
  const tlsOptions = tls && {
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
  };
  return {
    ...(server === undefined ? {} : { host: server.host, port: server.port }),
    ...(sentinels === undefined
      ? {}
      : {
          sentinels: sentinels.addresses.map(({ host, port }) => ({ host, port })),
          name: sentinels.master,
          // Without it a primary that froze is waited for until it wakes, whatever the Sentinels decided.
          failoverDetector: true,
          sentinelRetryStrategy: reconnectAfterMs,
          ...(sentinels.password === undefined ? {} : { sentinelPassword: sentinels.password }),
          ...(tlsOptions === undefined ? {} : { sentinelTLS: tlsOptions, enableTLSForSentinelMode: true }),
        }),
    db: database,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tlsOptions === undefined ? {} : { tls: tlsOptions }),
    lazyConnect: true,
    // Its defaults queue commands without an end and try each twenty times; a frame cannot wait for that.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: commandTimeoutMs,
    connectTimeout: connectTimeoutMs,
    // The ready check is INFO, which a user with few rights may not ask; the probe says whether it works.
    enableReadyCheck: false,
    retryStrategy: reconnectAfterMs,
    reconnectOnError: (error: Error) => startsWith(error, 'READONLY'),
  };
}

function reconnectAfterMs(attempt: number): number {
  return Math.min(100 * 2 ** Math.min(attempt, 6), longestReconnectMs);
}
