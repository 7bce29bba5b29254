import fc from 'fast-check';
import { Check } from 'typebox/schema';
import { describe, expect, it } from 'vitest';

import { checkSchema, type SettingsSchema } from '#shared/core/check-schema';

const reasons = (schema: SettingsSchema, value: unknown): string[] =>
  checkSchema(schema, value).map(({ path, reason }) => `${path.join('.')}: ${reason}`);

describe('checkSchema', () => {
  it('says what is wrong with each setting, and never its value', () => {
    const schema = {
      type: 'object',
      required: ['url'],
      properties: {
        url: { type: 'string', minLength: 1 },
        fps: { type: 'number', minimum: 0.1, maximum: 60 },
        filter: { enum: ['off', 'auto'] },
        zones: { type: 'array', items: { type: 'integer' } },
      },
    } as const;
    expect(reasons(schema, { fps: 999, filter: 'hunter2', zones: [1, 'hunter2'] })).toEqual([
      'url: is missing',
      'fps: must be at most 60',
      'filter: must be one of "off", "auto"',
      'zones.1: must be a whole number',
    ]);
  });

  it('offers the name that was probably meant for an unknown one', () => {
    const schema = { type: 'object', properties: { cameras: { type: 'object' }, fps: { type: 'number' } } } as const;
    expect(reasons(schema, { camras: {} })).toEqual(['camras: is not a known setting; did you mean cameras?']);
    expect(reasons(schema, { entirely: 1 })).toEqual(['entirely: is not a known setting']);
  });

  it('reports within the variant that got furthest', () => {
    const schema = {
      anyOf: [{ type: 'string' }, { type: 'object', properties: { url: { type: 'string' } }, required: ['url'] }],
    } as const;
    expect(reasons(schema, { url: 1 })).toEqual(['url: must be text']);
    expect(reasons(schema, 7)).toEqual([': must be text or a group of settings']);
  });

  it('refuses a schema with a keyword that it does not check', () => {
    expect(() => checkSchema({ type: 'string', format: 'email' } as SettingsSchema, 'x')).toThrow('format');
  });

  it('agrees with TypeBox on whether a value keeps to a schema', () => {
    fc.assert(
      fc.property(schemaArbitrary(3), fc.jsonValue({ maxDepth: 4 }), (schema, value) => {
        expect(checkSchema(schema, value).length === 0).toBe(Check(schema, value));
      }),
      { numRuns: 400 },
    );
  });

  it('agrees with TypeBox on values that were made from the schema', () => {
    fc.assert(
      fc.property(
        schemaArbitrary(3).chain((schema) => fc.tuple(fc.constant(schema), valueFor(schema))),
        ([schema, value]) => {
          expect(checkSchema(schema, value).length === 0).toBe(Check(schema, value));
        },
      ),
      { numRuns: 400 },
    );
  });
});

/** Schemas with `additionalProperties` always stated, the one default in which we differ on purpose. */
function schemaArbitrary(depth: number): fc.Arbitrary<SettingsSchema> {
  const bound = fc.integer({ min: -3, max: 3 });
  const leaves: fc.Arbitrary<SettingsSchema>[] = [
    fc.record(
      { type: fc.constantFrom('number' as const, 'integer' as const), minimum: bound, exclusiveMaximum: bound },
      { requiredKeys: ['type'] },
    ),
    fc.record(
      { type: fc.constant('string' as const), minLength: fc.nat(3), maxLength: fc.nat(5), pattern: fc.constant('^a') },
      { requiredKeys: ['type'] },
    ),
    fc.constantFrom<SettingsSchema>({ type: 'boolean' }, { type: 'null' }, { enum: ['a', 'b', 1] }, { const: 'a' }),
  ];
  if (depth === 0) return fc.oneof(...leaves);
  const inner = schemaArbitrary(depth - 1);
  return fc.oneof(
    ...leaves,
    fc.record(
      { type: fc.constant('array' as const), items: inner, minItems: fc.nat(2), maxItems: fc.nat(4) },
      { requiredKeys: ['type'] },
    ),
    fc.record(
      {
        type: fc.constant('object' as const),
        properties: fc.dictionary(fc.constantFrom('a', 'b', 'c'), inner),
        required: fc.uniqueArray(fc.constantFrom('a', 'b', 'c')),
        additionalProperties: fc.oneof(fc.boolean(), inner),
      },
      { requiredKeys: ['type', 'additionalProperties'] },
    ),
    fc.record({ anyOf: fc.array(inner, { minLength: 1, maxLength: 3 }) }),
  );
}

/** Values near what the schema wants, so that both verdicts come up often. */
function valueFor(schema: SettingsSchema): fc.Arbitrary<unknown> {
  const { anyOf, properties = {}, items, type } = schema;
  if (anyOf !== undefined) return fc.oneof(...anyOf.map(valueFor));
  if (schema.enum !== undefined) return fc.constantFrom<unknown>(...schema.enum, 'z');
  if (schema.const !== undefined) return fc.constantFrom<unknown>(schema.const, null);
  if (type === 'number' || type === 'integer') return fc.oneof(fc.integer({ min: -4, max: 4 }), fc.constant(0.5));
  if (type === 'string') return fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom('a', 'aa', 'aaaa', '𝒂𝒂'));
  if (type === 'boolean') return fc.boolean();
  if (type === 'array') return fc.array(items === undefined ? fc.nat() : valueFor(items), { maxLength: 5 });
  if (type === 'object') {
    const known = Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, valueFor(inner)]));
    return fc.record({ ...known, extra: fc.constantFrom<unknown>('a', 1, true) }, { requiredKeys: [] });
  }
  return fc.constant(null);
}
