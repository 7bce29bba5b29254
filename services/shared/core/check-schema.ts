import { closestName } from './closest-name.ts';

/**
 * The part of JSON Schema that our settings use. TypeBox gives the static type of such a schema (`Static<typeof schema>`, of a plain constant
 * too); the checking is ours because loading TypeBox's costs more CPU at every start than reading all settings. A property test holds it to TypeBox.
 */
export interface SettingsSchema {
  readonly type?: 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null';
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, SettingsSchema>>;
  readonly required?: readonly string[];
  /** Absent means false here: an unknown setting is a mistake. */
  readonly additionalProperties?: boolean | SettingsSchema;
  /** What the names that match a pattern must hold: how TypeBox writes a record. */
  readonly patternProperties?: Readonly<Record<string, SettingsSchema>>;
  readonly minProperties?: number;
  readonly items?: SettingsSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly enum?: readonly (string | number | boolean | null)[];
  readonly const?: string | number | boolean | null;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly anyOf?: readonly SettingsSchema[];
}

export interface SchemaProblem {
  /** Names and indexes that lead to the value. */
  readonly path: readonly string[];
  /** In words, without the value: `must be at least 1`. */
  readonly reason: string;
}

/** A keyword that we would overlook must not look as if it were checked. */
const knownKeywords = new Set([
  ...[
    'type',
    'title',
    'description',
    'examples',
    'default',
    'properties',
    'required',
    'additionalProperties',
    'patternProperties',
  ],
  ...[
    'minProperties',
    'items',
    'minItems',
    'maxItems',
    'enum',
    'const',
    'minimum',
    'maximum',
    'exclusiveMinimum',
    'exclusiveMaximum',
  ],
  ...['minLength', 'maxLength', 'pattern', 'anyOf'],
]);

/** All that is wrong with `value`; empty where it keeps to the schema. */
export function checkSchema(schema: SettingsSchema, value: unknown, path: readonly string[] = []): SchemaProblem[] {
  const problem = (reason: string): SchemaProblem[] => [{ path, reason }];

  const unknownKeyword = Object.keys(schema).find((keyword) => !knownKeywords.has(keyword));
  if (unknownKeyword !== undefined) throw new TypeError(`schema keyword ${unknownKeyword} is not supported`);
  if (schema.anyOf !== undefined) {
    const tries = schema.anyOf.map((variant) => checkSchema(variant, value, path));
    if (tries.some((problems) => problems.length === 0)) return [];
    // The variant that got furthest is the one that was meant; where none did, say what would do.
    const nearest = tries.filter((problems) => problems.every((one) => one.path.length > path.length));
    return nearest[0] ?? problem(`must be ${schema.anyOf.map(describe).join(' or ')}`);
  }
  if (schema.const !== undefined && value !== schema.const) return problem(`must be ${describe(schema)}`);
  if (schema.enum !== undefined && !schema.enum.some((one) => one === value))
    return problem(`must be ${describe(schema)}`);
  if (schema.type === undefined) return [];
  if (!hasType(schema.type, value)) return problem(`must be ${describe({ type: schema.type })}`);

  if (typeof value === 'number') return checkNumber(schema, value).flatMap(problem);
  if (typeof value === 'string') return checkText(schema, value).flatMap(problem);
  if (Array.isArray(value)) return [...checkLength(schema, value).flatMap(problem), ...checkItems(schema, value, path)];
  if (isRecord(value)) return checkProperties(schema, value, path);
  return [];
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasType(type: NonNullable<SettingsSchema['type']>, value: unknown): boolean {
  switch (type) {
    case 'object':
      return isRecord(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    case 'number':
      return Number.isFinite(value);
    case 'null':
      return value === null;
    case 'string':
    case 'boolean':
      return typeof value === type;
  }
}

function checkNumber(schema: SettingsSchema, value: number): string[] {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const reasons: string[] = [];
  if (minimum !== undefined && value < minimum) reasons.push(`must be at least ${minimum}`);
  if (maximum !== undefined && value > maximum) reasons.push(`must be at most ${maximum}`);
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum)
    reasons.push(`must be more than ${exclusiveMinimum}`);
  if (exclusiveMaximum !== undefined && value >= exclusiveMaximum)
    reasons.push(`must be less than ${exclusiveMaximum}`);
  return reasons;
}

function checkText(schema: SettingsSchema, value: string): string[] {
  // JSON Schema counts code points, as people do.
  const length = Array.from(value).length;
  const { minLength, maxLength, pattern } = schema;
  const reasons: string[] = [];
  if (minLength !== undefined && length < minLength) {
    reasons.push(minLength === 1 ? 'must not be empty' : `must have at least ${minLength} characters`);
  }
  if (maxLength !== undefined && length > maxLength) reasons.push(`must have at most ${maxLength} characters`);
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value)) reasons.push(`must match ${pattern}`);
  return reasons;
}

function checkLength(schema: SettingsSchema, value: readonly unknown[]): string[] {
  const { minItems, maxItems } = schema;
  const reasons: string[] = [];
  if (minItems !== undefined && value.length < minItems) reasons.push(`must have at least ${minItems} entries`);
  if (maxItems !== undefined && value.length > maxItems) reasons.push(`must have at most ${maxItems} entries`);
  return reasons;
}

function checkItems({ items }: SettingsSchema, value: readonly unknown[], path: readonly string[]): SchemaProblem[] {
  return items === undefined ? [] : value.flatMap((item, index) => checkSchema(items, item, [...path, String(index)]));
}

function checkProperties(
  schema: SettingsSchema,
  value: Readonly<Record<string, unknown>>,
  path: readonly string[],
): SchemaProblem[] {
  const { properties = {}, required = [], minProperties = 0 } = schema;
  const missing = required
    .filter((name) => !Object.hasOwn(value, name))
    .map((name) => ({ path: [...path, name], reason: 'is missing' }));
  const wrong = Object.entries(value).flatMap(([name, inner]) => {
    const known = schemaOfProperty(schema, name);
    if (known === true) return [];
    if (known !== false) return checkSchema(known, inner, [...path, name]);
    const meant = closestName(name, Object.keys(properties));
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    return [{ path: [...path, name], reason: `is not a known setting${hint}` }];
  });
  const tooFew =
    Object.keys(value).length < minProperties ? [{ path, reason: `must have at least ${minProperties} entries` }] : [];
  return [...missing, ...wrong, ...tooFew];
}

/** The schema that a property of this name has to keep to; true where anything will do, false where it may not be there. */
export function schemaOfProperty(schema: SettingsSchema, name: string): SettingsSchema | boolean {
  const { properties = {}, patternProperties = {}, additionalProperties = false } = schema;
  if (Object.hasOwn(properties, name)) return properties[name] ?? false;
  const pattern = Object.keys(patternProperties).find((one) => new RegExp(one, 'u').test(name));
  return (pattern === undefined ? undefined : patternProperties[pattern]) ?? additionalProperties;
}

const typeNames: Readonly<Record<NonNullable<SettingsSchema['type']>, string>> = {
  integer: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a group of settings',
  null: 'null',
};

function describe(schema: SettingsSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return `one of ${schema.enum.map((one) => JSON.stringify(one)).join(', ')}`;
  return schema.type === undefined ? 'something else' : typeNames[schema.type];
}
