import { errorCatalogue } from '#shared/core/error-catalogue';
import { toAppError } from '#shared/core/errors';
import { scrubSecrets } from '#shared/core/redact';

export interface FailureText {
  readonly text: string;
  readonly exitCode: number;
}

/** What a command prints on stderr when it fails, and the exit code. Passes no secret. */
export function failureText(
  thrown: unknown,
  options: { readonly asJson: boolean; readonly withStack: boolean },
): FailureText {
  const error = toAppError(thrown);
  const { code, retryable, exitCode } = error;
  const message = scrubSecrets(error.message);
  // The catalogue's own advice shows how a URL with a password is written, and would be masked.
  const action = error.action === errorCatalogue[code].action ? error.action : scrubSecrets(error.action);
  const stack = options.withStack ? scrubSecrets(fullStack(error)) : undefined;
  if (options.asJson) {
    const record = { error: { code, message, action, retryable, ...(stack === undefined ? {} : { stack }) } };
    return { text: `${JSON.stringify(record)}\n`, exitCode };
  }
  const where = stack === undefined ? '' : `${stack}\n`;
  return { text: `error [${code}]: ${message}\nwhat to do: ${action}\n${where}`, exitCode };
}

function fullStack(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by: ${fullStack(error.cause)}` : own;
}

/**
 * `sightline results cat … | head`: the reader has what it wanted, so a closed pipe is no error. A command that has something to finish
 * first listens itself, and then this does nothing.
 */
export function exitQuietlyOnClosedOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (process.stdout.listenerCount('error') > 1) return;
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(`error [SIGHTLINE_INTERNAL]: standard output failed (${error.code ?? 'unknown'})\n`);
    process.exit(70);
  });
  // Nobody reads what we would say about it.
  process.stderr.on('error', () => undefined);
}
