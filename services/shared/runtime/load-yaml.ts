import { CORE_SCHEMA, dump, loadAll, YAMLException } from 'js-yaml';

import type { ErrorCode } from '#shared/core/error-catalogue';
import { AppError } from '#shared/core/errors';

export interface YamlOptions {
  /** What the text is, for the message: `config file cameras.yaml`. */
  readonly what: string;
  /** Default 1 MiB: people write these files. */
  readonly maxBytes?: number;
  /** Default SIGHTLINE_YAML_INVALID. */
  readonly code?: ErrorCode;
}

const defaultMaxBytes = 1024 * 1024;
const maxDepth = 100;
/** Aliases multiply (the "billion laughs"); what people write by hand stays far below. */
const maxAliases = 50;
/** Values that stand in the text once and in the outcome more often. */
const maxRepeatedValues = 10_000;

/**
 * Reads YAML 1.2 into plain values; null where the text holds none. Throws with line and column, and never with the text itself: the file
 * may hold a password.
 */
export function parseYaml(text: string, options: YamlOptions): unknown {
  const { what, maxBytes = defaultMaxBytes, code = 'SIGHTLINE_YAML_INVALID' } = options;
  if (Buffer.byteLength(text) > maxBytes) throw new AppError(code, `${what} is larger than ${maxBytes} bytes`);

  let documents: readonly unknown[];
  try {
    documents = loadAll(text, { schema: CORE_SCHEMA, maxDepth, maxAliases });
  } catch (error) {
    // Without the cause: the package's error holds the text.
    throw new AppError(code, problemText(what, error));
  }
  if (documents.length > 1) throw new AppError(code, `${what} holds more than one document`);
  const value = documents[0] ?? null;
  if (!isSmallWithoutAliases(value))
    throw new AppError(code, `${what} cannot be read: an alias (*name) is used too often or within itself`);
  return value;
}

/** Plain values as YAML, in the order that they have. */
export function formatYaml(value: unknown): string {
  return dump(value, { schema: CORE_SCHEMA, lineWidth: 120, flowLevel: 3 });
}

function problemText(what: string, error: unknown): string {
  if (!(error instanceof YAMLException)) return `${what} cannot be read`;
  // What follows one of these signs is a piece of the text.
  const reason = error.reason.replace(/\s*(?:"|!<|: ).*$/s, '');
  const { mark } = error;
  return mark === undefined
    ? `${what} cannot be read: ${reason}`
    : `${what}, line ${mark.line + 1}, column ${mark.column + 1}: ${reason}`;
}

/** Aliases lead to the same object more than once, which costs nothing until somebody walks over all of it. */
function isSmallWithoutAliases(root: unknown): boolean {
  /** How many values each object stands for; infinity as long as they are being counted, which is what a circle meets. */
  const sizes = new Map<object, number>();
  let once = 0;
  function sizeOf(value: unknown): number {
    if (typeof value !== 'object' || value === null) return 1;
    const known = sizes.get(value);
    if (known !== undefined) return known;
    sizes.set(value, Infinity);
    const inside = Object.values(value);
    once += 1 + inside.filter((each) => typeof each !== 'object' || each === null).length;
    const size = inside.reduce<number>((sum, each) => sum + sizeOf(each), 1);
    sizes.set(value, size);
    return size;
  }
  return sizeOf(root) - once <= maxRepeatedValues;
}
