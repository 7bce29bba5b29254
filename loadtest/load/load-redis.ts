import { startRedis, type RedisServer } from '../../test/support/redis-server.ts';

const master = 'loadtest';

/** A primary, its replica, and three Sentinels that put the replica in its place. */
export interface LoadRedis {
  readonly primary: RedisServer;
  /** As services read it. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function startLoadRedis(): Promise<LoadRedis> {
  const servers: RedisServer[] = [];
  const start = async (...arguments_: Parameters<typeof startRedis>): Promise<RedisServer> => {
    const server = await startRedis(...arguments_);
    servers.push(server);
    return server;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    const limits = ['maxmemory 64mb', 'maxmemory-policy allkeys-lru', 'repl-diskless-sync-delay 0'];
    const primary = await start(limits);
    await start([...limits, `replicaof 127.0.0.1 ${String(primary.port)}`]);
    const sentinels: RedisServer[] = [];
    for (let count = 0; count < 3; count += 1) {
      const lines = [
        `sentinel monitor ${master} 127.0.0.1 ${String(primary.port)} 2`,
        `sentinel down-after-milliseconds ${master} 2000`,
        `sentinel failover-timeout ${master} 4000`,
      ];
      sentinels.push(await start(lines, { isSentinel: true }));
    }
    return {
      primary,
      environment: {
        REDIS_SENTINELS: sentinels.map(({ port }) => `127.0.0.1:${String(port)}`).join(','),
        REDIS_SENTINEL_MASTER: master,
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
