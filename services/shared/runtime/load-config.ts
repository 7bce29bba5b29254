import { readFileSync, statSync } from 'node:fs';
import type { Static } from 'typebox';

import { checkSchema, isRecord, schemaOfProperty, type SettingsSchema } from '#shared/core/check-schema';
import { AppError } from '#shared/core/errors';

import { parseYaml } from './load-yaml.ts';

export interface ConfigSources {
  /** Path of a YAML file. */
  readonly file?: string;
  /**
   * Variables to read settings from, usually `process.env`: setting `http.portNumber` is `SIGHTLINE_HTTP_PORT_NUMBER`. Only single values
   * (text, number, yes or no) can be given so; an empty variable counts as not given.
   */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Settings from the command line, in the schema's shape; `undefined` counts as not given. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

export type DeepReadonly<Value> = Value extends (...args: never[]) => unknown
  ? Value
  : Value extends object
    ? { readonly [Key in keyof Value]: DeepReadonly<Value[Key]> }
    : Value;

type Path = readonly string[];
type Tree = Record<string, unknown>;

const prefix = 'SIGHTLINE_';
const maxFileBytes = 4 * 1024 * 1024;

/**
 * Reads all settings once: the schema's defaults, over them the file, the environment and the flags. What comes back is complete and frozen.
 * Throws SIGHTLINE_CONFIG_INVALID naming each wrong setting, where it came from and why; never its value, which may be a password.
 * `Settings` is for schemas whose type TypeBox cannot infer.
 */
export function loadConfig<const Schema extends SettingsSchema, Settings = Static<Schema>>(
  schema: Schema,
  sources: ConfigSources = {},
): DeepReadonly<Settings> {
  const origins = new Map<string, string>();
  const layers: { readonly values: Tree; readonly origin: (path: Path) => string }[] = [];
  if (sources.file !== undefined) {
    const file = sources.file;
    layers.push({ values: readConfigFile(file), origin: () => `file ${file}` });
  }
  if (sources.environment !== undefined) {
    layers.push({
      values: readEnvironment(schema, sources.environment, []) ?? {},
      origin: (path) => `environment variable ${variableName(path)}`,
    });
  }
  if (sources.flags !== undefined) layers.push({ values: sources.flags, origin: () => 'the command line' });

  let merged: unknown = {};
  for (const { values, origin } of layers)
    merged = overlay(merged, values, [], (path) => origins.set(key(path), origin(path)));
  const complete = withDefaults(schema, merged);

  const problems = checkSchema(schema, complete);
  if (problems.length > 0) {
    const lines = problems.map(({ path, reason }) => {
      const from = originOf(path, origins);
      return `${path.length === 0 ? 'the settings' : path.join('.')}${from === undefined ? '' : ` (from ${from})`} ${reason}`;
    });
    throw new AppError('SIGHTLINE_CONFIG_INVALID', lines.join('; '));
  }
  // Checked against the schema on the line above.
  return freezeDeep(complete) as DeepReadonly<Settings>;
}

/** `http.portNumber` → `SIGHTLINE_HTTP_PORT_NUMBER`. */
export function variableName(path: Path): string {
  return (
    prefix +
    path
      .map((part) =>
        part
          .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
          .replaceAll(/[^A-Za-z0-9]/g, '_')
          .toUpperCase(),
      )
      .join('_')
  );
}

function readConfigFile(path: string): Tree {
  const what = `file ${path}`;
  let text: string;
  try {
    if (statSync(path).size > maxFileBytes)
      throw new AppError('SIGHTLINE_CONFIG_INVALID', `${what} is larger than ${maxFileBytes} bytes`);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof AppError) throw error;
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'is not there' : 'cannot be read';
    throw new AppError('SIGHTLINE_CONFIG_INVALID', `${what} ${reason}`, { cause: error });
  }
  const values = parseYaml(text, { what, maxBytes: maxFileBytes }) ?? {};
  if (!isRecord(values))
    throw new AppError('SIGHTLINE_CONFIG_INVALID', `${what} must hold settings as "name: value" at its top`);
  return values;
}

function readEnvironment(
  schema: SettingsSchema,
  environment: Readonly<Record<string, string | undefined>>,
  path: Path,
): Tree | undefined {
  const found = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const here = [...path, name];
    if (inner.type === 'object') {
      const group = readEnvironment(inner, environment, here);
      return group === undefined ? [] : [[name, group] as const];
    }
    const text = environment[variableName(here)];
    return text === undefined || text === '' || inner.type === 'array' ? [] : [[name, fromText(inner, text)] as const];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** Text of a variable as the type that the schema wants; what does not read as that stays text, and the check says so. */
function fromText(schema: SettingsSchema, text: string): unknown {
  const types = schema.anyOf?.map((variant) => variant.type) ?? [schema.type];
  if (types.includes('boolean')) {
    if (['true', '1', 'yes', 'on'].includes(text.toLowerCase())) return true;
    if (['false', '0', 'no', 'off'].includes(text.toLowerCase())) return false;
  }
  if (types.includes('number') || types.includes('integer')) {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value)) return value;
  }
  return text;
}

/** `upper` laid over `lower`: groups are joined, everything else (lists too) replaces what was there. */
function overlay(lower: unknown, upper: unknown, path: Path, note: (path: Path) => void): unknown {
  if (!isRecord(upper)) {
    note(path);
    return upper;
  }
  if (Object.keys(upper).length === 0) note(path);
  // No prototype: a setting called `__proto__` is then a name like any other, and refused as unknown.
  const joined = Object.assign(Object.create(null) as Tree, isRecord(lower) ? lower : {});
  for (const [name, value] of Object.entries(upper)) {
    if (value !== undefined) joined[name] = overlay(joined[name], value, [...path, name], note);
  }
  return joined;
}

function withDefaults(schema: SettingsSchema, value: unknown): unknown {
  if (value === undefined) {
    if (schema.default !== undefined) return withDefaults(schema, structuredClone(schema.default));
    // A group of which every part has a default need not be written at all.
    if (schema.type !== 'object' || schema.properties === undefined) return undefined;
    const group = withDefaults(schema, {});
    return checkSchema(schema, group).length === 0 ? group : undefined;
  }
  if (Array.isArray(value))
    return value.map((item: unknown) => (schema.items === undefined ? item : withDefaults(schema.items, item)));
  if (!isRecord(value)) return value;
  const { properties = {} } = schema;
  const full: Tree = Object.create(null) as Tree;
  for (const [name, inner] of Object.entries(value)) {
    const known = schemaOfProperty(schema, name);
    full[name] = typeof known === 'object' ? withDefaults(known, inner) : inner;
  }
  for (const [name, inner] of Object.entries(properties)) {
    if (full[name] !== undefined) continue;
    const filled = withDefaults(inner, undefined);
    if (filled !== undefined) full[name] = filled;
  }
  return full;
}

function originOf(path: Path, origins: ReadonlyMap<string, string>): string | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const origin = origins.get(key(path.slice(0, length)));
    if (origin !== undefined) return origin;
  }
  // A group as such has no origin of its own: that of anything in it.
  const inside = [...origins].find(([other]) => other.startsWith(`${key(path)}\u0000`));
  return inside?.[1];
}

const key = (path: Path): string => path.join('\u0000');

function freezeDeep(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of Object.values(value)) freezeDeep(inner);
  return Object.freeze(value);
}
