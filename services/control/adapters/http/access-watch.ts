import type { FastifyRequest } from 'fastify';
import { isInForce } from '../../core/tokens.ts';
import { callerOf, type ApiPorts } from './app.ts';

/** How long a stream may outlive the token that opened it. */
const checkEveryMs = 2_000;

/**
 * Calls `end` once when the token of the request expires or is revoked: what is open for hours is not to be asked about at its beginning
 * only. Gives what ends the watch, for when the stream ends by itself.
 */
export function watchAccess(ports: ApiPorts, request: FastifyRequest, end: () => void): () => void {
  const caller = callerOf(request);
  const timer = setInterval(() => {
    if (isInForce(caller, ports.tokens.get(caller.tokenId), ports.clock.nowUs() / 1000)) return;
    clearInterval(timer);
    end();
  }, checkEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}
