import type { AddressInfo } from 'node:net';

import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { Readiness } from '#shared/core/service';

import type { MetricsText } from './metrics.ts';

export interface HealthServerOptions {
  /** 0 lets the system choose; `listen` says which. */
  readonly port: number;
  /** Default 127.0.0.1: what is told here is for this machine unless somebody decides otherwise. */
  readonly host?: string;
  readonly readiness: () => Readiness;
  readonly metricsText: () => Promise<MetricsText>;
  readonly logger: Logger;
}

export interface HealthServer {
  readonly port: number;
  readonly url: string;
  close(): Promise<void>;
}

const requestTimeoutMs = 5_000;

/**
 * Serves /healthz (the process is up), /readyz (it does its work, else 503 with the reason) and /metrics. fastify is loaded here, so that
 * a run without an HTTP port does not pay for it.
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const { host = '127.0.0.1', port, readiness, metricsText, logger } = options;
  const { fastify } = await import('fastify');
  const server = fastify({
    logger: false,
    requestTimeout: requestTimeoutMs,
    forceCloseConnections: true,
    bodyLimit: 1024,
  });

  server.get('/healthz', async () => ({ status: 'up' }));
  server.get('/readyz', async (_request, reply) => {
    const { ready, reason } = readiness();
    void reply.code(ready ? 200 : 503); // gives the reply itself, to chain on
    return ready ? { ready } : { ready, reason: reason ?? 'not ready' };
  });
  server.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await metricsText();
    void reply.type(contentType); // gives the reply itself, to chain on
    return body;
  });
  server.setNotFoundHandler(async (_request, reply) => {
    void reply.code(404); // gives the reply itself, to chain on
    return { error: 'not found', paths: ['/healthz', '/readyz', '/metrics'] };
  });
  server.setErrorHandler(async (error, request, reply) => {
    logger.error({ err: error, path: request.routeOptions.url ?? '' }, 'health request failed');
    void reply.code(500); // gives the reply itself, to chain on
    return { error: 'internal error' };
  });

  try {
    await server.listen({ host, port });
  } catch (error) {
    await server.close();
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new AppError('SIGHTLINE_PORT_UNAVAILABLE', `port ${port} on ${host} cannot be opened (${code})`, {
      cause: error,
    });
  }
  // A TCP server that listens has an address of this kind.
  const address = server.server.address() as AddressInfo;
  const shownHost = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  let closing: Promise<void> | undefined;
  return {
    port: address.port,
    url: `http://${shownHost}:${address.port}`,
    close: () => (closing ??= server.close()),
  };
}
