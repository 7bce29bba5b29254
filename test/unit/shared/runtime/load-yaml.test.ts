import { describe, expect, it } from 'vitest';

import { AppError } from '#shared/core/errors';
import { parseYaml } from '#shared/runtime/load-yaml';

function refusal(text: string, maxBytes?: number): string {
  try {
    parseYaml(text, { what: 'file a.yaml', ...(maxBytes === undefined ? {} : { maxBytes }) });
  } catch (error) {
    if (error instanceof AppError && error.code === 'SIGHTLINE_YAML_INVALID') return error.message;
    throw error;
  }
  return 'taken';
}

describe('parseYaml', () => {
  it('gives plain values and takes a word like `no` as text', () => {
    expect(parseYaml('a: 1\nb: [x, no]\nc: {d: null}', { what: 'text' })).toEqual({
      a: 1,
      b: ['x', 'no'],
      c: { d: null },
    });
  });

  it('gives null for a text without a value', () => {
    expect(parseYaml('', { what: 'text' })).toBeNull();
    expect(parseYaml('# nothing\n', { what: 'text' })).toBeNull();
  });

  it('reads numbers as YAML 1.2 does, and dates, times and yes or no as text', () => {
    expect(parseYaml('[0x1F, 0o17, 017, 1e3, .inf, 12:30, 2001-01-01, yes, True, ~]', { what: 'text' })).toEqual([
      31,
      15,
      17,
      1000,
      Infinity,
      '12:30',
      '2001-01-01',
      'yes',
      true,
      null,
    ]);
  });

  it('takes __proto__ and << for names like any other', () => {
    const value = parseYaml('__proto__: {a: 1}\n<<: {b: 2}', { what: 'text' });
    expect(Object.keys(value as object)).toEqual(['__proto__', '<<']);
    expect(value).not.toHaveProperty('a');
    expect(value).not.toHaveProperty('b');
  });

  it('follows an alias', () => {
    expect(parseYaml('a: &x {b: 1}\nc: *x', { what: 'text' })).toEqual({ a: { b: 1 }, c: { b: 1 } });
  });

  it('names line and column of what is wrong, without the text', () => {
    expect(refusal('a: 1\npassword: "canary\n')).toMatch(/^file a\.yaml, line \d+, column \d+: /);
    expect(refusal('password: canary: x')).not.toContain('canary');
    expect(refusal('a: 1\na: 2')).toBe('file a.yaml, line 2, column 1: duplicated mapping key');
  });

  it.each([
    'a: *canary',
    'a: !canary x',
    'a: !!canary x',
    'a: !canary!x y',
    'a: !<canary> [x]',
    'a: !canary {x: 1}',
    'a: !!int canary',
    'a: !!null canary',
    'a: &canary\nb: "\\canary',
    '%TAG canary canary\n---\na',
    '%TAG !canary! canary\n---\n- !canary!',
    '- canary\n canary: x',
    'canary: 1\ncanary: 2',
    '? [canary]\n: x',
    "a: 'canary",
    'a: @canary\n b: c',
    'a: {canary',
    'a: |0 canary',
    '--- canary\n--- canary',
  ])('refuses %j without repeating what stands there', (text) => {
    const message = refusal(text);
    expect(message).not.toBe('taken');
    expect(message).not.toContain('canary');
  });

  it('refuses an alias within itself', () => {
    expect(refusal('a: &a [*a]')).toContain('within itself');
  });

  it('refuses aliases that multiply, also few of them', () => {
    const doubled = ['a0: &a0 [x, x]'];
    for (let level = 1; level < 24; level += 1) doubled.push(`a${level}: &a${level} [*a${level - 1}, *a${level - 1}]`);
    expect(refusal(doubled.join('\n'))).toContain('used too often');
  });

  it('refuses many aliases', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 9; level += 1) {
      bomb.push(`a${level}: &a${level} [${new Array(9).fill(`*a${level - 1}`).join(', ')}]`);
    }
    expect(refusal(bomb.join('\n'))).toContain('aliases exceeded');
  });

  it('refuses nesting that would exhaust the stack', () => {
    expect(refusal('['.repeat(20_000))).toContain('nesting exceeded');
  });

  it('refuses a text that is larger than allowed', () => {
    expect(refusal(`a: ${'x'.repeat(100)}`, 50)).toContain('larger than 50 bytes');
  });

  it('gives the code that the caller asked for', () => {
    expect(() => parseYaml('a: [', { what: 'x', code: 'SIGHTLINE_CONFIG_INVALID' })).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_CONFIG_INVALID' }),
    );
  });
});
