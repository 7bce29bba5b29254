import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';

import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { scrubSecrets } from '#shared/core/redact';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** `pretty` for people, `json` for machines; `auto` looks whether stderr is a terminal. Default `auto`. */
  readonly format?: 'auto' | 'json' | 'pretty';
  readonly bindings?: Readonly<Record<string, string | number>>;
  /** Secrets known by now, masked wherever they appear, beside what looks like one. */
  readonly secrets?: () => readonly string[];
  /** For tests; else stderr, so that stdout stays free for results. */
  readonly destination?: DestinationStream;
}

/** Facts nest no deeper than this in a log line; below it stands their kind. */
const maxDepth = 6;
const secretKey = /pass(word|wd|phrase)?$|secret|token$|authorization|credential|^pwd$|api_?key/i;
const mask = '***';

/** A logger that lets no secret through: every string of the text, of the fields and of errors with their causes passes `scrubSecrets`. */
export async function createLogger(options: LoggerOptions): Promise<Logger> {
  const format = options.format ?? 'auto';
  const pretty =
    format === 'pretty' || (format === 'auto' && options.destination === undefined && process.stderr.isTTY);
  const destination = options.destination ?? openStderr();
  const secrets = options.secrets ?? (() => []);
  const sink = pretty ? await prettySink(destination) : destination;
  const base = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      // Errors come described and scrubbed; pino's own serializer would take them apart again.
      serializers: { err: (described: unknown) => described },
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
  return wrap(base.child(scrubFields(options.bindings ?? {}, secrets())), secrets);
}

function wrap(inner: PinoLogger, secrets: () => readonly string[]): Logger {
  const write = (level: 'debug' | 'info' | 'warn' | 'error', fields: object, text: string): void => {
    if (inner.isLevelEnabled(level)) inner[level](scrubFields(fields, secrets()), scrubSecrets(text, secrets()));
  };
  return {
    debug: (fields, text) => write('debug', fields, text),
    info: (fields, text) => write('info', fields, text),
    warn: (fields, text) => write('warn', fields, text),
    error: (fields, text) => write('error', fields, text),
    child: (bindings) => wrap(inner.child(scrubFields(bindings, secrets())), secrets),
  };
}

/** Synchronous: a line that was written is out, also when the process ends on the next statement. */
function openStderr(): DestinationStream {
  const stderr = pino.destination({ fd: 2, sync: true });
  // A reader that went away (`2>&1 | head`) is no reason to end a recording.
  stderr.on('error', () => {});
  return stderr;
}

async function prettySink(destination: DestinationStream): Promise<DestinationStream> {
  const { default: prettify } = await import('pino-pretty');
  const format = prettify.prettyFactory({
    colorize: process.stderr.isTTY && process.env['NO_COLOR'] === undefined,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'service',
    singleLine: true,
  });
  return { write: (line) => destination.write(format(line)) };
}

function scrubFields(fields: object, secrets: readonly string[]): Record<string, unknown> {
  const scrubbed = scrubValue(fields, secrets, 0, new Set());
  return typeof scrubbed === 'object' && scrubbed !== null && !Array.isArray(scrubbed)
    ? { ...scrubbed }
    : { value: scrubbed };
}

function scrubValue(value: unknown, secrets: readonly string[], depth: number, above: ReadonlySet<object>): unknown {
  if (typeof value === 'string') return scrubSecrets(value, secrets);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`;
  if (typeof value !== 'object' || value === null) return value;
  if (above.has(value)) return '[circular]';
  if (depth >= maxDepth) return '[deep]';
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof URL) return scrubSecrets(value.href, secrets);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();

  const path = new Set(above).add(value);
  const scrub = (inner: unknown): unknown => scrubValue(inner, secrets, depth + 1, path);
  if (value instanceof Map) return scrub(Object.fromEntries(value));
  if (value instanceof Set) return scrub([...value]);
  if (Array.isArray(value)) return value.map(scrub);
  return Object.fromEntries(
    Object.entries(value instanceof Error ? describeError(value) : value).map(([key, inner]) => [
      scrubSecrets(key, secrets),
      secretKey.test(key) && inner !== null && inner !== undefined ? mask : scrub(inner),
    ]),
  );
}

/**
 * An error with what it carries: properties that libraries hang on it (`code`, `path`, `cause`), too. A failure that we foresee says in its
 * code where it comes from; a stack trace, of it or of what caused it, would only bury that.
 */
function describeError(
  error: Error,
  isForeseen = error instanceof AppError && error.exitCode !== 70,
): Record<string, unknown> {
  const describeInner = (inner: unknown): unknown =>
    inner instanceof Error && isForeseen ? describeError(inner, true) : inner;
  return {
    // Some libraries make the stack a property like any other.
    ...Object.fromEntries(Object.entries(error).filter(([name]) => name !== 'stack')),
    type: error.name,
    message: error.message,
    ...(error instanceof AppError ? { code: error.code, action: error.action, retryable: error.retryable } : {}),
    ...(error.stack === undefined || isForeseen ? {} : { stack: error.stack }),
    ...(error.cause === undefined ? {} : { cause: describeInner(error.cause) }),
    ...(error instanceof AggregateError ? { errors: error.errors.map(describeInner) } : {}),
  };
}
