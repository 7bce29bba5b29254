/**
 * Rules that keep every version of a schema readable by every other one (FULL_TRANSITIVE), and a little stricter than Avro where
 * Avro allows what would lose information. docs/schemas.md tells them in words.
 */

type SchemaNode = string | readonly SchemaNode[] | SchemaObject;

interface SchemaObject {
  readonly type: SchemaNode;
  readonly name?: string;
  readonly logicalType?: string;
  readonly fields?: readonly FieldNode[];
  readonly symbols?: readonly string[];
  readonly default?: unknown;
  readonly items?: SchemaNode;
  readonly values?: SchemaNode;
}

interface FieldNode {
  readonly name: string;
  readonly type: SchemaNode;
  readonly default?: unknown;
}

interface Side {
  readonly node: SchemaNode;
  readonly named: Map<string, SchemaObject>;
}

/** What makes the two versions of a schema unable to read each other, in words; empty where they can, both ways. */
export function evolutionProblems(older: unknown, newer: unknown): string[] {
  const problems: string[] = [];
  // Schemas come parsed from our own .avsc files; what is not a schema is found by the Avro library, which parses them too.
  const before = older as SchemaNode;
  const after = newer as SchemaNode;
  compare(
    { node: before, named: collectNamed(before, new Map()) },
    { node: after, named: collectNamed(after, new Map()) },
    '',
    problems,
    new Set(),
  );
  return problems;
}

function compare(older: Side, newer: Side, path: string, problems: string[], seen: Set<string>): void {
  const before = resolve(older);
  const after = resolve(newer);
  const at = path === '' ? 'the record' : path;
  if (Array.isArray(before) && Array.isArray(after)) {
    if (before.length !== after.length) {
      problems.push(`${at}: branches of the union changed`);
      return;
    }
    before.forEach((branch: SchemaNode, index) => {
      compare({ ...older, node: branch }, { ...newer, node: after[index] as SchemaNode }, path, problems, seen);
    });
    return;
  }
  if (!isObject(before) || !isObject(after)) {
    if (before !== after) problems.push(`${at}: type changed from ${describe(before)} to ${describe(after)}`);
    return;
  }
  if (before.type !== after.type || before.name !== after.name || before.logicalType !== after.logicalType) {
    problems.push(`${at}: type changed from ${describe(before)} to ${describe(after)}`);
    return;
  }
  if (before.name !== undefined) {
    if (seen.has(before.name)) return;
    seen.add(before.name);
  }
  if (before.fields !== undefined && after.fields !== undefined) {
    compareFields({ fields: before.fields, side: older }, { fields: after.fields, side: newer }, path, problems, seen);
  }
  if (before.symbols !== undefined && after.symbols !== undefined) compareSymbols(before, after, at, problems);
  if (before.items !== undefined && after.items !== undefined) {
    compare({ ...older, node: before.items }, { ...newer, node: after.items }, `${path}[]`, problems, seen);
  }
  if (before.values !== undefined && after.values !== undefined) {
    compare({ ...older, node: before.values }, { ...newer, node: after.values }, `${path}{}`, problems, seen);
  }
}

interface Fields {
  readonly fields: readonly FieldNode[];
  readonly side: Side;
}

function compareFields(older: Fields, newer: Fields, path: string, problems: string[], seen: Set<string>): void {
  const inNewer = new Map(newer.fields.map((field) => [field.name, field]));
  const inOlder = new Set(older.fields.map((field) => field.name));
  for (const field of older.fields) {
    const at = join(path, field.name);
    const successor = inNewer.get(field.name);
    if (successor === undefined) {
      if (field.default === undefined) problems.push(`${at}: removed, but has no default for older readers`);
      continue;
    }
    // A new default would change what readers see in old data.
    if (JSON.stringify(field.default) !== JSON.stringify(successor.default)) problems.push(`${at}: default changed`);
    compare({ ...older.side, node: field.type }, { ...newer.side, node: successor.type }, at, problems, seen);
  }
  for (const field of newer.fields) {
    if (!inOlder.has(field.name) && field.default === undefined)
      problems.push(`${join(path, field.name)}: added without a default`);
  }
}

function compareSymbols(older: SchemaObject, newer: SchemaObject, at: string, problems: string[]): void {
  const before = older.symbols ?? [];
  const after = newer.symbols ?? [];
  for (const symbol of before) {
    if (!after.includes(symbol)) problems.push(`${at}: symbol ${symbol} removed`);
  }
  if (before.every((symbol) => after.includes(symbol)) && before.some((symbol, index) => after[index] !== symbol)) {
    problems.push(`${at}: symbols may only be appended`);
  }
  if (newer.default !== older.default) problems.push(`${at}: default symbol changed`);
}

function resolve(side: Side): SchemaNode {
  return typeof side.node === 'string' ? (side.named.get(side.node) ?? side.node) : side.node;
}

function collectNamed(node: SchemaNode, into: Map<string, SchemaObject>): Map<string, SchemaObject> {
  if (Array.isArray(node)) for (const branch of node as readonly SchemaNode[]) collectNamed(branch, into);
  if (!isObject(node)) return into;
  if (node.name !== undefined) into.set(node.name, node);
  for (const field of node.fields ?? []) collectNamed(field.type, into);
  for (const inner of [node.items, node.values]) if (inner !== undefined) collectNamed(inner, into);
  if (typeof node.type !== 'string') collectNamed(node.type, into);
  return into;
}

function isObject(node: SchemaNode): node is SchemaObject {
  return typeof node === 'object' && !Array.isArray(node);
}

function describe(node: SchemaNode): string {
  if (typeof node === 'string') return node;
  if (!isObject(node)) return 'a union';
  return [typeof node.type === 'string' ? node.type : 'a type', node.name, node.logicalType]
    .filter((part) => part !== undefined)
    .join(' ');
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
