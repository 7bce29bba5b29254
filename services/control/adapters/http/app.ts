import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest, RawServerDefault } from 'fastify';
import type { Clock } from '#shared/core/clock';
import type { Logger } from '#shared/core/logger';
import type { Readiness } from '#shared/core/service';
import type { AccessRule, Principal } from '../../core/access.ts';
import type { IdentityProvider } from '../../core/identity.ts';
import type { EventFeed } from '../../core/events/event.ts';
import type {
  AuditLog,
  CameraDirectory,
  CameraFinder,
  LiveFeed,
  ModelCatalogue,
  ProbeCamera,
  SystemPort,
  TokenStore,
} from '../../core/ports.ts';

export type HttpApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

export interface NamedSchema {
  readonly name: string;
  readonly version: number;
  readonly schema: unknown;
}

/** All that the routes work with. */
export interface ApiPorts {
  readonly cameras: CameraDirectory;
  readonly live: LiveFeed;
  readonly events: EventFeed;
  readonly probe: ProbeCamera;
  readonly finder: CameraFinder;
  readonly tokens: TokenStore;
  /** For tokens of somebody else's; null where none are taken. */
  readonly identity: IdentityProvider | null;
  readonly audit: AuditLog;
  readonly system: SystemPort;
  readonly models: ModelCatalogue | null;
  readonly schemas: readonly NamedSchema[];
  readonly readiness: () => Readiness;
  readonly metricsText: () => Promise<{ readonly contentType: string; readonly body: string }>;
  readonly clock: Clock;
  readonly logger: Logger;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: AccessRule;
    /** Name in the audit log; what has none is only reading of what concerns no person. */
    audit?: string;
    isIdempotent?: boolean;
  }
  interface FastifyRequest {
    principal: Principal | null;
    /** Set where the target is not the parameter `id`. */
    auditTarget: string;
    /** A stream is written down when it begins, and not again when it ends. */
    isAudited: boolean;
  }
}

export const read: AccessRule = { role: 'viewer', scope: 'filtered' };
export const readCamera: AccessRule = { role: 'viewer', scope: 'camera' };
export const changeCamera: AccessRule = { role: 'operator', scope: 'camera' };
export const changeAll: AccessRule = { role: 'operator', scope: 'all' };
export const administer: AccessRule = { role: 'admin', scope: 'none' };
export const open: AccessRule = { role: 'public', scope: 'none' };

/** The caller of a route that asks for a token. */
export function callerOf(request: FastifyRequest): Principal {
  // The hook of auth.ts lets nobody through without one; reaching this is a fault of ours.
  if (request.principal === null) throw new TypeError('a route without a caller asked who it is');
  return request.principal;
}

/** Writes down who did what. For streams when they begin; for the rest when they are answered. */
export function recordAudit(ports: ApiPorts, request: FastifyRequest, reply: Pick<FastifyReply, 'statusCode'>): void {
  const { audit } = request.routeOptions.config;
  if (audit === undefined || request.isAudited) return;
  request.isAudited = true;
  const status = reply.statusCode;
  const params = request.params as Readonly<Record<string, string>> | undefined; // all our parameters are text
  ports.audit.append({
    timeMs: Math.round(ports.clock.nowUs() / 1000),
    actor: request.principal?.tokenId ?? 'anonymous',
    actorName: request.principal?.name ?? '',
    action: audit,
    target: request.auditTarget === '' ? (params?.['id'] ?? '').slice(0, 64) : request.auditTarget,
    outcome: status < 400 ? 'ok' : status < 500 ? 'refused' : 'failed',
    status,
  });
}
