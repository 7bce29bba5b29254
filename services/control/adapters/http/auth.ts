import type { FastifyRequest } from 'fastify';
import { AppError, toAppError } from '#shared/core/errors';
import { judgeAccess, type Principal } from '../../core/access.ts';
import { FailureLimiter } from '../../core/failure-limiter.ts';
import { isJwt } from '../../core/identity.ts';
import { matchToken, tokenIdOf } from '../../core/tokens.ts';
import type { ApiPorts, HttpApp } from './app.ts';

/** A browser cannot send headers with a WebSocket; it names its token as a subprotocol, which no log and no history shows. */
const protocolPrefix = 'bearer.';

/** Asks every request for a token that allows what its route needs. Throws at start for a route that does not say what it needs. */
export function addAuthentication(app: HttpApp, ports: ApiPorts): void {
  const limiter = new FailureLimiter();
  function countFailure(ip: string, nowMs: number): void {
    const waitS = limiter.failed(ip, nowMs);
    if (waitS !== undefined) throw new AppError('SIGHTLINE_RATE_LIMITED', `too many wrong tokens; wait ${waitS} s`);
  }
  async function principalFor(text: string, ip: string, nowMs: number): Promise<Principal | undefined> {
    const { identity } = ports;
    if (identity === null || !isJwt(text)) {
      const id = tokenIdOf(text);
      return matchToken(text, id === undefined ? undefined : ports.tokens.get(id), nowMs);
    }
    try {
      return await identity.identify(text);
    } catch (thrown) {
      const error = toAppError(thrown);
      // Whoever has a right token and no role, or comes while the issuer is away, guesses at nothing.
      if (error.code === 'SIGHTLINE_JWT_INVALID') countFailure(ip, nowMs);
      throw error;
    }
  }
  app.decorateRequest('principal', null);
  app.decorateRequest('auditTarget', '');
  app.decorateRequest('isAudited', false);
  app.addHook('onRoute', (route) => {
    if (route.config?.access === undefined) throw new TypeError(`route ${route.url} does not say who may use it`);
  });
  app.addHook('onRequest', async (request) => {
    const rule = request.routeOptions.config.access;
    // Only the answer "not found" has no route.
    if (rule === undefined || rule.role === 'public') return;
    const text = tokenIn(request);
    const nowMs = ports.clock.nowUs() / 1000;
    const principal = text === undefined ? undefined : await principalFor(text, request.ip, nowMs);
    request.principal = principal ?? null;
    const params = request.params as Readonly<Record<string, string>>; // all our parameters are text
    switch (judgeAccess(rule, principal, params['id'])) {
      case 'allowed':
        return;
      case 'unauthenticated': {
        if (text !== undefined) countFailure(request.ip, nowMs);
        throw new AppError(
          'SIGHTLINE_UNAUTHENTICATED',
          text === undefined ? 'no token was sent' : 'the token is not valid',
        );
      }
      case 'role-too-low':
        throw new AppError('SIGHTLINE_FORBIDDEN', `this needs the role ${rule.role}`);
      case 'out-of-scope':
        // The same as for a camera that there is not: whoever may not see it does not learn that it exists.
        if (rule.scope === 'camera') throw new AppError('SIGHTLINE_CAMERA_UNKNOWN', 'there is no such camera');
        throw new AppError('SIGHTLINE_FORBIDDEN', 'this needs a token that covers all cameras');
    }
  });
}

function tokenIn(request: FastifyRequest): string | undefined {
  const header = request.headers.authorization;
  if (header !== undefined) return /^Bearer ([\w.-]{1,8192})$/i.exec(header)?.[1] ?? '';
  const protocols = request.headers['sec-websocket-protocol'];
  if (protocols === undefined || request.headers.upgrade === undefined) return undefined;
  return protocols
    .split(',')
    .map((protocol) => protocol.trim())
    .find((protocol) => protocol.startsWith(protocolPrefix))
    ?.slice(protocolPrefix.length);
}
