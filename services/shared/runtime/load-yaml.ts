import { LineCounter, parseDocument } from 'yaml';

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
/** Aliases multiply (the "billion laughs"); what people write by hand stays far below. */
const maxAliasCount = 50;

/**
 * Reads YAML 1.2 into plain values. Throws with line and column, and never with the text itself: the file may hold a password.
 */
export function parseYaml(text: string, options: YamlOptions): unknown {
  const { what, maxBytes = defaultMaxBytes, code = 'SIGHTLINE_YAML_INVALID' } = options;
  if (Buffer.byteLength(text) > maxBytes) throw new AppError(code, `${what} is larger than ${maxBytes} bytes`);

  const lines = new LineCounter();
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: true,
      schema: 'core',
      logLevel: 'error',
    });
    const problem = document.errors[0];
    if (problem === undefined) return document.toJS({ maxAliasCount }) as unknown;
    const { line, col } = lines.linePos(problem.pos[0]);
    const reason = problem.code.toLowerCase().replaceAll('_', ' ');
    throw new AppError(code, `${what}, line ${line}, column ${col}: ${reason}`);
  } catch (error) {
    if (error instanceof AppError) throw error;
    // What the package throws by itself: RangeError where nesting exhausts the stack, ReferenceError for aliases.
    const reason =
      error instanceof RangeError ? 'it is nested too deeply' : 'an alias (*name) is unknown or used too often';
    throw new AppError(code, `${what} cannot be read: ${reason}`);
  }
}
