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

  it('names line and column of what is wrong, without the text', () => {
    expect(refusal('a: 1\npassword: "canary\n')).toMatch(/^file a\.yaml, line \d+, column \d+: /);
    expect(refusal('password: canary: x')).not.toContain('canary');
    expect(refusal('a: 1\na: 2')).toBe('file a.yaml, line 2, column 1: duplicate key');
  });

  it('refuses aliases that multiply', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 9; level += 1) {
      bomb.push(`a${level}: &a${level} [${new Array(9).fill(`*a${level - 1}`).join(', ')}]`);
    }
    expect(refusal(bomb.join('\n'))).toContain('used too often');
  });

  it('refuses nesting that would exhaust the stack', () => {
    expect(refusal('['.repeat(20_000))).toMatch(/nested too deeply|line 1/);
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
