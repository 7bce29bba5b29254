import { Type } from 'typebox';
import { roles } from '../../../core/access.ts';
import { Capacity } from './cameras.ts';
import { CameraId, NextCursor, nullable, strict } from './common.ts';

export const System = strict(
  {
    version: Type.String(),
    mode: Type.Enum(['embedded', 'distributed']),
    started_at: Type.String(),
    model: nullable(strict({ name: Type.String(), version: Type.String(), digest: Type.String() })),
    results: Type.String({ description: 'Where records go.' }),
    topics: Type.Array(
      strict({ name: Type.String(), consumer: Type.String({ description: 'Command that reads it.' }) }),
    ),
    services: Type.Array(strict({ name: Type.String(), ready: Type.Boolean(), reason: nullable(Type.String()) })),
    cameras: strict({
      total: Type.Integer(),
      enabled: Type.Integer(),
      by_state: Type.Record(Type.String(), Type.Integer()),
    }),
    capacity: nullable(Capacity),
    capacity_note: Type.Optional(Type.String({ description: 'Why there is no capacity to tell.' })),
    result_clients: Type.Integer({ description: 'Who listens to the streams of results and events now.' }),
    result_events_dropped: Type.Integer({ description: 'Events that clients were too slow for.' }),
    live_viewers: Type.Integer({ description: 'Who looks at live pictures now.' }),
    live_pictures_dropped: Type.Integer({ description: 'Pictures that viewers were too slow for.' }),
  },
  { title: 'System' },
);

export const Me = strict(
  {
    token_id: Type.String(),
    name: Type.String(),
    role: Type.Enum([...roles]),
    cameras: nullable(Type.Array(Type.String())),
  },
  { title: 'Me' },
);

const tokenParts = {
  name: Type.String({ minLength: 1, maxLength: 100 }),
  role: Type.Enum([...roles]),
  cameras: nullable(Type.Array(CameraId, { maxItems: 10_000, description: 'null: all, those that come later too.' })),
};
export const Token = strict(
  { id: Type.String(), ...tokenParts, created_at: Type.String(), expires_at: nullable(Type.String()) },
  { title: 'Token', description: 'The text of a token is told once, when it is made.' },
);
export const NewToken = strict(
  {
    name: tokenParts.name,
    role: tokenParts.role,
    cameras: Type.Optional(tokenParts.cameras),
    expires_in_s: Type.Optional(Type.Integer({ minimum: 60, maximum: 315_360_000, description: 'Default: never.' })),
  },
  { title: 'NewToken' },
);
export const TokenCreated = strict(
  { token: Type.String({ description: 'Told now and never again.' }), stored: Token },
  { title: 'TokenCreated' },
);
export const TokenPage = strict({ items: Type.Array(Token), next_cursor: NextCursor }, { title: 'TokenPage' });
export const TokenParams = strict({ id: Type.String({ pattern: '^[0-9a-f]{12}$' }) });

export const AuditRecord = strict(
  {
    seq: Type.Integer(),
    time: Type.String(),
    actor: Type.String({ description: 'Id of the token.' }),
    actor_name: Type.String(),
    action: Type.String(),
    target: Type.String(),
    outcome: Type.Enum(['ok', 'refused', 'failed']),
    status: Type.Integer(),
    previous_hash: Type.String(),
    hash: Type.String(),
  },
  { title: 'AuditRecord' },
);
export const AuditPage = strict({ items: Type.Array(AuditRecord), next_cursor: NextCursor }, { title: 'AuditPage' });
export const AuditVerdict = strict(
  {
    intact: Type.Boolean(),
    entries: nullable(Type.Integer()),
    last_hash: nullable(Type.String()),
    broken_at: nullable(Type.Integer()),
    reason: nullable(Type.String()),
  },
  { title: 'AuditVerdict' },
);

export const SchemaList = strict(
  { items: Type.Array(strict({ name: Type.String(), version: Type.Integer(), schema: Type.Unknown() })) },
  { title: 'SchemaList', description: 'Avro schemas of the records, for readers without a registry.' },
);
