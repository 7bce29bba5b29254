import { AppError } from '#shared/core/errors';
import { IdempotencyMemory } from '../../core/idempotency.ts';
import { callerOf, type ApiPorts, type HttpApp } from './app.ts';

const keptHeaders = ['content-type', 'etag', 'location'] as const;

/** A request with an Idempotency-Key that was answered before gets that answer again. Keys of different tokens are different keys. */
export function addIdempotency(app: HttpApp, ports: ApiPorts): void {
  const memory = new IdempotencyMemory();
  const underWay = new WeakMap<object, string>();
  app.addHook('preHandler', async (request, reply) => {
    const given = request.headers['idempotency-key'];
    if (request.routeOptions.config.isIdempotent !== true || typeof given !== 'string') return;
    const key = `${callerOf(request).tokenId} ${given}`;
    const what = `${request.method} ${request.url}\n${JSON.stringify(request.body ?? null)}`;
    const verdict = memory.begin(key, what, ports.clock.monotonicMs());
    switch (verdict.kind) {
      case 'first':
        underWay.set(request, key);
        return;
      case 'repeat':
        // Already serialised: it goes out as it went out.
        return reply
          .code(verdict.answer.status)
          .headers({ ...verdict.answer.headers, 'idempotent-replay': 'true' })
          .serializer((body: unknown) => body as string) // `answer.body` is text
          .send(verdict.answer.body);
      case 'under-way':
        throw new AppError('SIGHTLINE_IDEMPOTENCY_CONFLICT', 'the first request with this key is still under way', {
          retryable: true,
        });
      case 'mismatch':
        throw new AppError('SIGHTLINE_IDEMPOTENCY_CONFLICT', 'the key was used for another request');
    }
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const key = underWay.get(request);
    if (key === undefined) return payload;
    underWay.delete(request);
    const headers = Object.fromEntries(
      keptHeaders.flatMap((name) => {
        const value = reply.getHeader(name);
        return value === undefined ? [] : [[name, String(value)]];
      }),
    );
    // Our answers to changes are text or empty.
    memory.finish(key, { status: reply.statusCode, body: typeof payload === 'string' ? payload : '', headers });
    return payload;
  });
}
