import { Type } from 'typebox';
import type { AuditEntry } from '../../../core/audit-chain.ts';
import { verifyChain } from '../../../core/audit-chain.ts';
import { planCapacity } from '../../../core/capacity.ts';
import { pageOf } from '../../../core/cursor.ts';
import { createToken, type StoredToken } from '../../../core/tokens.ts';
import { AppError } from '#shared/core/errors';
import { administer, callerOf, open, type ApiPorts, type HttpApp } from '../app.ts';
import { PageQuery, problems, strict } from '../schemas/common.ts';
import * as schema from '../schemas/system.ts';
import type { LiveCounts } from './live.ts';

export function addSystemRoutes(app: HttpApp, ports: ApiPorts, counts: LiveCounts): void {
  const tags = ['system'];
  const nowMs = (): number => Math.round(ports.clock.nowUs() / 1000);

  app.get(
    '/system',
    {
      config: { access: { role: 'viewer', scope: 'all' } },
      schema: { tags, summary: 'What runs here, and what is left', response: { ...problems(), 200: schema.System } },
    },
    async () => {
      const cameras = ports.cameras.list();
      const enabled = cameras.filter((camera) => camera.enabled);
      const byState: Record<string, number> = {};
      for (const { id } of enabled) {
        const state = ports.live.status(id)?.state ?? 'UNKNOWN';
        byState[state] = (byState[state] ?? 0) + 1;
      }
      const load = ports.system.load();
      const { topics, services, ...facts } = ports.system.facts();
      return {
        ...facts,
        topics: [...topics],
        services: [...services],
        cameras: { total: cameras.length, enabled: enabled.length, by_state: byState },
        capacity:
          load === null
            ? null
            : planCapacity(
                load,
                enabled.map(({ fps }) => fps),
              ),
        result_clients: counts.resultClients,
        result_events_dropped: counts.eventsDropped,
        live_viewers: counts.viewers,
        live_pictures_dropped: counts.picturesDropped,
      };
    },
  );

  app.get(
    '/me',
    {
      config: { access: { role: 'viewer', scope: 'none' } },
      schema: { tags, summary: 'Who this token is', response: { ...problems(), 200: schema.Me } },
    },
    async (request) => {
      const { tokenId, name, role, cameras } = callerOf(request);
      return { token_id: tokenId, name, role, cameras: cameras === null ? null : [...cameras] };
    },
  );

  app.get(
    '/schemas',
    {
      config: { access: { role: 'viewer', scope: 'none' } },
      schema: { tags, summary: 'Avro schemas of the records', response: { ...problems(), 200: schema.SchemaList } },
    },
    async () => ({ items: [...ports.schemas] }),
  );

  const tokenTags = ['tokens'];
  app.get(
    '/tokens',
    {
      config: { access: administer },
      schema: {
        tags: tokenTags,
        summary: 'List tokens',
        querystring: strict(PageQuery),
        response: { ...problems(), 200: schema.TokenPage },
      },
    },
    async (request) => {
      const { limit = 100, cursor } = request.query;
      const page = pageOf(ports.tokens.list(), ({ id }) => id, { limit, cursor });
      return { items: page.items.map(shownToken), next_cursor: page.next_cursor };
    },
  );
  app.post(
    '/tokens',
    {
      // Not repeatable by key: its answer holds a secret, which is kept nowhere.
      config: { access: administer, audit: 'token.create' },
      schema: {
        tags: tokenTags,
        summary: 'Make a token',
        body: schema.NewToken,
        response: { ...problems(413, 415), 201: schema.TokenCreated },
      },
    },
    async (request, reply) => {
      const { name, role, cameras = null, expires_in_s: expiresInS } = request.body;
      const expiresAtMs = expiresInS === undefined ? null : nowMs() + expiresInS * 1000;
      const { text, stored } = createToken({ name, role, cameras, expiresAtMs }, nowMs());
      ports.tokens.put(stored);
      request.auditTarget = stored.id;
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send({ token: text, stored: shownToken(stored) });
    },
  );
  app.delete(
    '/tokens/:id',
    {
      config: { access: administer, audit: 'token.revoke' },
      schema: {
        tags: tokenTags,
        summary: 'Revoke a token',
        params: schema.TokenParams,
        response: { ...problems(404), 204: { type: 'null', description: 'It is revoked.' } },
      },
    },
    async (request, reply) => {
      if (!ports.tokens.remove(request.params.id))
        throw new AppError('SIGHTLINE_TOKEN_UNKNOWN', 'there is no such token');
      return reply.code(204).send(null);
    },
  );

  const auditTags = ['audit'];
  app.get(
    '/audit',
    {
      config: { access: administer, audit: 'audit.view' },
      schema: {
        tags: auditTags,
        summary: 'Who did what, newest first; with `after` oldest first from there on',
        querystring: strict({
          ...PageQuery,
          after: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: Number.MAX_SAFE_INTEGER,
              description: 'Only entries after this `seq`, oldest first; the next page is after the last one of this.',
            }),
          ),
        }),
        response: { ...problems(), 200: schema.AuditPage },
      },
    },
    async (request) => {
      const { limit = 100, cursor, after } = request.query;
      if (after !== undefined && cursor !== undefined)
        throw new AppError('SIGHTLINE_REQUEST_INVALID', 'give `after` or `cursor`, not both');
      if (after !== undefined) return { items: ports.audit.following(limit, after).map(shownEntry), next_cursor: null };
      if (cursor !== undefined && !/^\d{1,15}$/.test(cursor))
        throw new AppError('SIGHTLINE_REQUEST_INVALID', 'the cursor is not one that was given out');
      const entries = ports.audit.newest(limit, cursor === undefined ? undefined : Number(cursor));
      const last = entries.at(-1);
      return {
        items: entries.map(shownEntry),
        next_cursor: last !== undefined && entries.length === limit && last.seq > 1 ? String(last.seq) : null,
      };
    },
  );
  app.get(
    '/audit::verify',
    {
      config: { access: administer },
      schema: {
        tags: auditTags,
        summary: 'Whether the audit log is as it was written',
        querystring: strict({
          expected_hash: Type.Optional(
            Type.String({
              pattern: '^[0-9a-f]{64}$',
              description: 'A hash that was noted before; it must be in the log.',
            }),
          ),
        }),
        response: { ...problems(), 200: schema.AuditVerdict },
      },
    },
    async (request) => {
      const verdict = verifyChain(ports.audit.all(), request.query.expected_hash);
      return verdict.intact
        ? { intact: true, entries: verdict.entries, last_hash: verdict.lastHash, broken_at: null, reason: null }
        : { intact: false, entries: null, last_hash: null, broken_at: verdict.seq, reason: verdict.reason };
    },
  );
}

/** Outside /api/v1: for machines that watch the process. */
export function addHealthRoutes(app: HttpApp, ports: ApiPorts): void {
  const hidden = { hide: true };
  app.get('/healthz', { config: { access: open }, schema: hidden }, async () => ({ status: 'up' }));
  app.get('/readyz', { config: { access: open }, schema: hidden }, async (_request, reply) => {
    const { ready, reason } = ports.readiness();
    return reply.code(ready ? 200 : 503).send(ready ? { ready } : { ready, reason: reason ?? 'not ready' });
  });
  app.get('/metrics', { config: { access: open }, schema: hidden }, async (_request, reply) => {
    const { contentType, body } = await ports.metricsText();
    return reply.type(contentType).send(body);
  });
}

function shownToken(token: StoredToken) {
  const { id, name, role, cameras, createdAtMs, expiresAtMs } = token;
  return {
    ...{ id, name, role, cameras: cameras === null ? null : [...cameras] },
    created_at: new Date(createdAtMs).toISOString(),
    expires_at: expiresAtMs === null ? null : new Date(expiresAtMs).toISOString(),
  };
}

function shownEntry(entry: AuditEntry) {
  const { seq, actor, action, target, outcome, status, hash } = entry;
  return {
    ...{ seq, actor, action, target, outcome, status, hash },
    time: new Date(entry.timeMs).toISOString(),
    actor_name: entry.actorName,
    previous_hash: entry.previousHash,
  };
}
