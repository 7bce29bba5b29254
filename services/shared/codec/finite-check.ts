/** Looks for the first number that is NaN or infinite and returns the path to it; undefined where all are finite. */
export type FiniteCheck = (value: unknown) => string | undefined;

interface SchemaObject {
  readonly type: unknown;
  readonly name?: string;
  readonly fields?: readonly { readonly name: string; readonly type: unknown }[];
  readonly items?: unknown;
  readonly values?: unknown;
}

/**
 * Makes a check that visits only the places where the schema has a float: a walk over every value of every record costs more than
 * the encoding itself.
 */
export function compileFiniteCheck(schema: unknown): FiniteCheck {
  return compileNode(schema, new Map()) ?? (() => undefined);
}

type Named = Map<string, FiniteCheck | undefined>;

function compileNode(node: unknown, named: Named): FiniteCheck | undefined {
  if (node === 'float' || node === 'double')
    return (value) => (typeof value === 'number' && !Number.isFinite(value) ? '' : undefined);
  if (typeof node === 'string') return named.get(node);
  if (Array.isArray(node)) return compileUnion(node, named);
  if (typeof node !== 'object' || node === null) return undefined;
  const { type, name, fields, items, values } = node as SchemaObject;
  if (type === 'record' && fields !== undefined) {
    const check = compileRecord(fields, named);
    if (name !== undefined) named.set(name, check);
    return check;
  }
  if (type === 'array') return compileArray(items, named);
  if (type === 'map') return compileMap(values, named);
  return type === 'enum' || type === 'fixed' ? undefined : compileNode(type, named);
}

// Our unions are null or one other type, so the other branch's check may see every value that is not null.
function compileUnion(branches: readonly unknown[], named: Named): FiniteCheck | undefined {
  const check = branches.map((branch) => compileNode(branch, named)).find((found) => found !== undefined);
  return check === undefined ? undefined : (value) => (value === null ? undefined : check(value));
}

function compileRecord(fields: NonNullable<SchemaObject['fields']>, named: Named): FiniteCheck | undefined {
  const checks = fields.flatMap((field) => {
    const check = compileNode(field.type, named);
    return check === undefined ? [] : [{ name: field.name, check }];
  });
  if (checks.length === 0) return undefined;
  return (value) => {
    if (typeof value !== 'object' || value === null) return undefined;
    const record = value as Readonly<Record<string, unknown>>;
    for (const { name, check } of checks) {
      const path = check(record[name]);
      if (path !== undefined) return path === '' ? name : `${name}.${path}`;
    }
    return undefined;
  };
}

function compileArray(items: unknown, named: Named): FiniteCheck | undefined {
  const check = compileNode(items, named);
  if (check === undefined) return undefined;
  return (value) => {
    if (!Array.isArray(value)) return undefined;
    for (let index = 0; index < value.length; index += 1) {
      const path = check(value[index]);
      if (path !== undefined) return path === '' ? String(index) : `${index}.${path}`;
    }
    return undefined;
  };
}

function compileMap(values: unknown, named: Named): FiniteCheck | undefined {
  const check = compileNode(values, named);
  if (check === undefined) return undefined;
  return (value) => {
    if (typeof value !== 'object' || value === null) return undefined;
    for (const [key, inner] of Object.entries(value)) {
      const path = check(inner);
      if (path !== undefined) return path === '' ? key : `${key}.${path}`;
    }
    return undefined;
  };
}
