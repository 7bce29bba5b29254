import type { Clock } from '#shared/core/clock';
import type { Logger } from '#shared/core/logger';

export interface LogLine {
  readonly level: string;
  readonly fields: object;
  readonly text: string;
}

/** Keeps what was logged, to be looked at. */
export function createLogKeeper(): Logger & { readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = [];
  const keep =
    (level: string) =>
    (fields: object, text: string): void => {
      lines.push({ level, fields, text });
    };
  const logger = {
    lines,
    debug: keep('debug'),
    info: keep('info'),
    warn: keep('warn'),
    error: keep('error'),
    child: () => logger,
  };
  return logger;
}

/** The machine's own clock. */
export const machineClock: Clock = {
  nowUs: () => Date.now() * 1000,
  monotonicMs: () => performance.now(),
  sleep: (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs)),
};
