type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Schemas with a title become components that are referred to, so that a client generated from the document has names and not copies. */
export function nameSchemas(document: Json): Json {
  const schemas: Record<string, unknown> = {};
  const paths = hoist(document['paths'], schemas);
  const components = isObject(document['components']) ? document['components'] : {};
  const sorted = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { ...document, components: { ...components, schemas: sorted }, paths };
}

function hoist(value: unknown, schemas: Record<string, unknown>): unknown {
  if (Array.isArray(value)) return value.map((item) => hoist(item, schemas));
  if (!isObject(value)) return value;
  const inner = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, hoist(one, schemas)]));
  const title = inner['title'];
  if (typeof title !== 'string' || inner['type'] !== 'object') return inner;
  schemas[title] = inner;
  return { $ref: `#/components/schemas/${title}` };
}
