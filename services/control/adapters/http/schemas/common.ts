import { Type, type TObject, type TProperties, type TSchema } from 'typebox';

/** An object that refuses what it does not know; with a title it gets a name of its own in the OpenAPI document. */
export function strict<Properties extends TProperties>(
  properties: Properties,
  options: { readonly title?: string; readonly description?: string } = {},
): TObject<Properties> {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

export function nullable<Schema extends TSchema>(schema: Schema) {
  return Type.Union([schema, Type.Null()]);
}

export const CameraId = Type.String({
  pattern: '^[a-zA-Z0-9_-]{1,64}$',
  description: '1 to 64 letters, digits, "_" or "-".',
});

export const IdParams = strict({ id: CameraId });

/** RFC 9457, with the stable codes of docs/errors.md. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'Where the code is described.' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable; what a program decides by.' }),
    detail: Type.String(),
    action: Type.String({ description: 'What to do about it.' }),
    retryable: Type.Boolean(),
    errors: Type.Optional(
      Type.Array(strict({ path: Type.String(), reason: Type.String() }), {
        description: 'Which parts of the request are wrong, by path; never their values.',
      }),
    ),
  },
  // More members for some codes: `verdict` of a camera that cannot be used, `capacity` and `cost` where none is left.
  { title: 'Problem', additionalProperties: true },
);

export const PageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, description: 'Most items of a page. Default 100.' })),
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: '`next_cursor` of the page before this one.' }),
  ),
};

export const NextCursor = nullable(Type.String({ description: 'Give it as `cursor` for the next page.' }));

export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'A repeat with the same key and body gets the first answer and changes nothing.',
    }),
  ),
});

export const IfMatchHeaders = Type.Object({
  'if-match': Type.Optional(
    Type.String({
      maxLength: 40,
      description: 'The ETag that was read; another version is refused with 412. Without it the last writer wins.',
    }),
  ),
});

const descriptions: Readonly<Record<number, string>> = {
  400: 'The request is wrong; `errors` names the parts.',
  401: 'No token, or one that is not valid.',
  403: 'The role or the cameras of the token do not allow it.',
  404: 'There is no such thing, or the token may not see it.',
  409: 'It contradicts what is there.',
  412: 'It was changed by somebody else meanwhile.',
  413: 'The body is larger than 1 MiB (8 MiB for an import).',
  415: 'The body is not of the kind that is asked for.',
  422: 'The camera cannot be used; `verdict` says why and what to do.',
  429: 'Too many requests; Retry-After says when to come again.',
  500: 'A fault of ours.',
  503: 'Not now; try again.',
};

/** The failures that a route can answer with besides those that every route has. */
export function problems(...statuses: readonly number[]): Readonly<Record<number, TSchema>> {
  return Object.fromEntries(
    [400, 401, 403, 429, 500, ...statuses].map((status) => [
      status,
      { description: descriptions[status] ?? 'Failed.', content: { 'application/problem+json': { schema: Problem } } },
    ]),
  ); // fastify takes `content` in place of a schema
}
