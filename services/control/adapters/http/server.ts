import type { AddressInfo } from 'node:net';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import fastifyStatic from '@fastify/static';
import swagger from '@fastify/swagger';
import { TypeBoxValidatorCompiler, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { fastify } from 'fastify';
import { AppError } from '#shared/core/errors';
import type { AccessRule } from '../../core/access.ts';
import { open, recordAudit, type ApiPorts, type HttpApp } from './app.ts';
import { addAuthentication } from './auth.ts';
import { docsPage } from './docs-page.ts';
import { addFailureAnswers } from './failures.ts';
import { addIdempotency } from './idempotency.ts';
import { nameSchemas } from './openapi.ts';
import { addCameraRoutes } from './routes/cameras.ts';
import { addDiscoveryRoutes } from './routes/discovery.ts';
import { addEventRoutes } from './routes/events.ts';
import { addLiveRoutes, type LiveCounts } from './routes/live.ts';
import { addModelRoutes } from './routes/models.ts';
import { addHealthRoutes, addSystemRoutes } from './routes/system.ts';

export interface RouteEntry {
  readonly method: string;
  readonly url: string;
  readonly access: AccessRule;
}

export interface ApiServer {
  readonly app: HttpApp;
  readonly routes: readonly RouteEntry[];
  /** The OpenAPI 3.1 document. */
  readonly document: Readonly<Record<string, unknown>>;
}

export interface ApiServerOptions {
  readonly ports: ApiPorts;
  /** Folder of the page as it was built; without it there is only the API. */
  readonly webRoot?: string;
  readonly requestsPerMinute: number;
  readonly requestTimeoutMs: number;
}

const bodyLimitBytes = 1024 * 1024;

/** Makes the server with all routes; it does not listen yet. */
export async function createApiServer({
  ports,
  webRoot,
  requestsPerMinute,
  requestTimeoutMs,
}: ApiServerOptions): Promise<ApiServer> {
  const app: HttpApp = fastify({
    logger: false,
    bodyLimit: bodyLimitBytes,
    // Head and body together; who sends them byte by byte is cut off.
    requestTimeout: requestTimeoutMs,
    http: {
      headersTimeout: requestTimeoutMs,
      // Node looks for late ones twice a minute by itself.
      connectionsCheckingInterval: Math.min(5_000, requestTimeoutMs),
    },
    connectionTimeout: 0,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 128 },
  })
    .setValidatorCompiler(TypeBoxValidatorCompiler)
    .withTypeProvider<TypeBoxTypeProvider>();
  const routes: RouteEntry[] = [];
  const counts: LiveCounts = { resultClients: 0, eventsDropped: 0, viewers: 0, picturesDropped: 0 };

  addFailureAnswers(app, ports.logger);
  await app.register(helmet, {
    contentSecurityPolicy: {
      directives: {
        defaultSrc: ["'self'"],
        imgSrc: ["'self'", 'blob:', 'data:'],
        connectSrc: ["'self'", 'ws:', 'wss:'],
        styleSrc: ["'self'", "'unsafe-inline'"],
        frameAncestors: ["'none'"],
        // It is served on loopback without TLS; behind TLS the proxy says so.
        upgradeInsecureRequests: null,
      },
    },
    strictTransportSecurity: false,
    referrerPolicy: { policy: 'no-referrer' },
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sightline API',
        version: '1',
        description: 'Cameras, results, events, models, tokens and audit of Sightline.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: ({ schema, url, route }) => {
      const access = route.config?.access;
      const words = access === undefined ? '' : `${access.role}${access.scope === 'all' ? ', all cameras' : ''}`;
      return { schema: { ...schema, 'x-access': words } as typeof schema, url };
    },
  });
  // Hooks of the whole server come before those of a part, and the one of addAuthentication throws for a route that states no access.
  let isPage = false;
  app.addHook('onRoute', (route) => {
    if (isPage) route.config = { ...route.config, access: open };
  });
  addAuthentication(app, ports);
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.access === undefined) return;
    for (const one of [method].flat()) routes.push({ method: one, url: url.replace('::', ':'), access: config.access });
  });
  await app.register(rateLimit, {
    global: true,
    hook: 'preHandler',
    max: requestsPerMinute,
    timeWindow: 60_000,
    cache: 10_000,
    keyGenerator: (request) => request.principal?.tokenId ?? request.ip,
    allowList: (request) => request.routeOptions.config.access?.role === 'public',
  });
  addIdempotency(app, ports);
  app.addHook('onResponse', async (request, reply) => {
    // Wrong tokens are not written down one by one: whoever sends them would fill the disk.
    if (reply.statusCode !== 401 && reply.statusCode !== 429) recordAudit(ports, request, reply);
  });

  await app.register(
    async (api: HttpApp) => {
      addCameraRoutes(api, ports);
      addDiscoveryRoutes(api, ports);
      await addLiveRoutes(api, ports, counts);
      addEventRoutes(api, ports, counts);
      addModelRoutes(api, ports);
      addSystemRoutes(api, ports, counts);
    },
    { prefix: '/api/v1' },
  );
  addHealthRoutes(app, ports);
  let document: Readonly<Record<string, unknown>> = {};
  let page = '';
  app.get('/openapi.json', { config: { access: open }, schema: { hide: true } }, async () => document);
  app.get('/docs', { config: { access: open }, schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(page),
  );
  if (webRoot !== undefined) {
    isPage = true;
    await app.register(fastifyStatic, { root: webRoot, wildcard: false, index: ['index.html'] });
    isPage = false;
  }
  await app.ready();
  document = nameSchemas(app.swagger() as unknown as Readonly<Record<string, unknown>>); // plain JSON
  page = docsPage(document);
  return { app, routes, document };
}

/** Starts listening and gives the address. Throws SIGHTLINE_PORT_UNAVAILABLE. */
export async function listen(
  app: HttpApp,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException; // what node rejects with
    throw new AppError('SIGHTLINE_PORT_UNAVAILABLE', `port ${port} on ${host} cannot be opened (${code})`, {
      cause: error,
    });
  }
  const address = app.server.address() as AddressInfo; // a TCP server that listens has one of this kind
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}
