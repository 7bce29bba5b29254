import { AppError } from '#shared/core/errors';

/** What the operating system said when a results file was made, as our error. */
export function openError(path: string, cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  if (isDiskFull(cause)) return diskFull(path, cause);
  return new AppError('SIGHTLINE_RESULTS_NOT_WRITABLE', `${path} cannot be created (${systemCode(cause)})`, { cause });
}

/** The same for a file that was being written. */
export function writeError(path: string, cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  if (isDiskFull(cause)) return diskFull(path, cause);
  return new AppError('SIGHTLINE_RESULTS_WRITE_FAILED', `${path} could not be written (${systemCode(cause)})`, {
    cause,
  });
}

/** The same for a file that was being read. */
export function readError(path: string, cause: unknown): AppError {
  if (cause instanceof AppError) return new AppError(cause.code, `${path}: ${cause.message}`, { cause: cause.cause });
  return new AppError('SIGHTLINE_RESULTS_UNREADABLE', `${path} cannot be read (${systemCode(cause)})`, { cause });
}

export function systemCode(cause: unknown): string {
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return 'unknown reason';
}

function isDiskFull(cause: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(systemCode(cause));
}

function diskFull(path: string, cause: unknown): AppError {
  return new AppError('SIGHTLINE_RESULTS_DISK_FULL', `no room left to write ${path}`, { cause });
}
