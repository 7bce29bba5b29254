import { errorCatalogue, type ErrorCode } from './error-catalogue.ts';

export interface AppErrorOptions {
  readonly cause?: unknown;
  /** True where the same call may succeed later without anybody changing anything. Default false. */
  readonly retryable?: boolean;
  /** What to do, where the catalogue's general advice can be said more precisely. */
  readonly action?: string;
}

/** The one error class that crosses our module boundaries: a stable code, a message without secrets, and what to do. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly action: string;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.action = options.action ?? errorCatalogue[code].action;
  }

  get exitCode(): number {
    return errorCatalogue[this.code].exitCode;
  }
}

/** An error as it travels between threads and processes: a cloned Error would lose its class and code. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly action: string;
  readonly stack?: string;
}

/** Turns whatever was thrown into an AppError; what is not ours becomes SIGHTLINE_INTERNAL with the original as its cause. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new AppError('SIGHTLINE_INTERNAL', message, { cause: thrown });
}

export function toErrorRecord(thrown: unknown): ErrorRecord {
  const error = toAppError(thrown);
  return {
    code: error.code,
    message: error.message,
    retryable: error.retryable,
    action: error.action,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}

export function fromErrorRecord(record: ErrorRecord): AppError {
  const error = new AppError(record.code, record.message, { retryable: record.retryable, action: record.action });
  if (record.stack !== undefined) error.stack = record.stack;
  return error;
}
