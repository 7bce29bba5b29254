import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Type from 'typebox';
import { describe, expect, it, onTestFinished } from 'vitest';

import { AppError } from '#shared/core/errors';
import { loadConfig, variableName } from '#shared/runtime/load-config';

const schema = {
  type: 'object',
  properties: {
    fps: { type: 'number', exclusiveMinimum: 0, maximum: 60, default: 5 },
    filter: { enum: ['off', 'auto'], default: 'off' },
    password: { type: 'string', maxLength: 8 },
    http: {
      type: 'object',
      properties: { portNumber: { type: 'integer', default: 8080 }, open: { type: 'boolean', default: false } },
    },
    cameras: {
      type: 'object',
      additionalProperties: {
        type: 'object',
        properties: { url: { type: 'string' }, fps: { type: 'number', default: 5 } },
        required: ['url'],
      },
      default: {},
    },
  },
  required: ['fps', 'filter', 'http', 'cameras'],
} as const;

function yamlFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-config-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'sightline.yaml');
  writeFileSync(path, text);
  return path;
}

function refusal(load: () => unknown): AppError {
  try {
    load();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('the settings were taken');
}

describe('loadConfig', () => {
  it('fills in every default, also in groups that were not written', () => {
    expect(loadConfig(schema)).toEqual({ fps: 5, filter: 'off', http: { portNumber: 8080, open: false }, cameras: {} });
  });

  it('lets flags win over the environment, that over the file, that over defaults', () => {
    const file = yamlFile('fps: 1\nfilter: auto\nhttp: { portNumber: 1 }\n');
    const environment = { SIGHTLINE_FPS: '2', SIGHTLINE_HTTP_PORT_NUMBER: '2', SIGHTLINE_HTTP_OPEN: 'yes' };
    const config = loadConfig(schema, { file, environment, flags: { fps: 3, filter: undefined } });
    expect(config).toMatchObject({ fps: 3, filter: 'auto', http: { portNumber: 2, open: true } });
  });

  it('fills in defaults inside entries that the user named', () => {
    const config = loadConfig(schema, { file: yamlFile('cameras: { front: { url: a.mp4 } }') });
    expect(config.cameras).toEqual({ front: { url: 'a.mp4', fps: 5 } });
  });

  it('gives values that nobody can change', () => {
    const config = loadConfig(schema) as { http: { portNumber: number } };
    expect(() => {
      config.http.portNumber = 1;
    }).toThrow(TypeError);
  });

  it('names the setting, where it came from and why, but not the value', () => {
    const file = yamlFile('camras: {}\npassword: hunter2-canary\n');
    const error = refusal(() =>
      loadConfig(schema, { file, environment: { SIGHTLINE_FPS: 'canary' }, flags: { filter: 'canary' } }),
    );
    expect(error.code).toBe('SIGHTLINE_CONFIG_INVALID');
    expect(error.message.split('; ')).toEqual([
      `camras (from file ${file}) is not a known setting`,
      'did you mean cameras?',
      `password (from file ${file}) must have at most 8 characters`,
      'fps (from environment variable SIGHTLINE_FPS) must be a number',
      'filter (from the command line) must be one of "off", "auto"',
    ]);
    expect(JSON.stringify(error) + error.message).not.toContain('canary');
  });

  it.each([
    ['a file that is not there', '/nowhere/sightline.yaml', 'is not there'],
    ['a folder', tmpdir(), 'cannot be read'],
  ])('says so when the file is %s', (_case, file, reason) => {
    expect(refusal(() => loadConfig(schema, { file })).message).toContain(reason);
  });

  it('takes an empty file as no settings and refuses one that is a list', () => {
    expect(loadConfig(schema, { file: yamlFile('') }).fps).toBe(5);
    expect(refusal(() => loadConfig(schema, { file: yamlFile('- a') })).message).toContain('name: value');
  });

  it('does not let a file reach the prototype of its settings', () => {
    const error = refusal(() => loadConfig(schema, { file: yamlFile('__proto__: { fps: 9 }') }));
    expect(error.message).toContain('__proto__');
    expect(({} as { fps?: number }).fps).toBeUndefined();
  });

  it('reads schemas made with TypeBox', () => {
    const config = loadConfig(
      Type.Object({
        level: Type.Union([Type.Literal('a'), Type.Literal('b')], { default: 'a' }),
        tags: Type.Record(Type.String(), Type.Integer(), { default: {} }),
      }),
      { flags: { tags: { x: 1 } } },
    );
    const level: 'a' | 'b' = config.level;
    expect({ level, tags: config.tags }).toEqual({ level: 'a', tags: { x: 1 } });
  });
});

describe('variableName', () => {
  it('writes a path as an environment variable', () => {
    expect(variableName(['http', 'portNumber'])).toBe('SIGHTLINE_HTTP_PORT_NUMBER');
  });
});
