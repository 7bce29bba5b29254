import { AppError, toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { Service, ServiceState } from '#shared/core/service';

import { createProcessPort, signalNumber, type ProcessPort, type StopSignal } from './process-port.ts';

export interface RunOptions {
  readonly logger: Logger;
  /** Most time for what was taken to be finished. Default 20 s: container runtimes kill after 30. */
  readonly drainTimeoutMs?: number;
  /** Most time for releasing everything. Default 8 s. */
  readonly closeTimeoutMs?: number;
  readonly onState?: (state: ServiceState) => void;
  readonly process?: ProcessPort;
}

export interface RunOutcome {
  readonly state: 'stopped' | 'failed';
  readonly exitCode: number;
  /** The signal that asked us to stop, where one did. */
  readonly signal?: StopSignal;
  /** Why it failed. */
  readonly error?: AppError;
}

type Ending =
  | { readonly kind: 'finished' }
  | { readonly kind: 'signal'; readonly signal: StopSignal }
  | { readonly kind: 'failed'; readonly error: AppError };

const defaultDrainTimeoutMs = 20_000;
const defaultCloseTimeoutMs = 8_000;
const foreverMs = 2 ** 31 - 1;

/** Runs a service to its end and ends the process with the outcome's code. For a `main.ts`. */
export async function runService(service: Service, options: RunOptions): Promise<void> {
  const port = options.process ?? createProcessPort();
  const outcome = await superviseService(service, { ...options, process: port });
  port.exit(outcome.exitCode);
}

/**
 * Runs a service to its end: start, then until it finishes, a signal comes or something fails; then drain, then close. Never rejects, and
 * leaves the process running for the caller to end; only a second signal ends it at once, with 128 + its number.
 */
export async function superviseService(service: Service, options: RunOptions): Promise<RunOutcome> {
  const {
    logger,
    onState = () => {},
    drainTimeoutMs = defaultDrainTimeoutMs,
    closeTimeoutMs = defaultCloseTimeoutMs,
  } = options;
  const port = options.process ?? createProcessPort();
  let firstFault: AppError | undefined;
  let state: ServiceState = 'created';
  const enter = (next: ServiceState): void => {
    if (state === next) return;
    state = next;
    logger.debug({ state }, 'service state');
    onState(next);
  };

  const ending = Promise.withResolvers<Ending>();
  let stopSignal: StopSignal | undefined;
  const unhearSignals = port.onSignal((signal) => {
    if (stopSignal !== undefined) {
      logger.warn({ signal }, 'second signal, stopping without waiting');
      port.exit(128 + signalNumber(signal));
      return;
    }
    stopSignal = signal;
    logger.info({ signal }, 'stopping; the same signal again stops at once');
    ending.resolve({ kind: 'signal', signal });
  });
  const unhearFaults = port.onFault((fault) => {
    logger.error({ err: fault }, 'unexpected fault');
    firstFault ??= new AppError('SIGHTLINE_INTERNAL', messageOf(fault), { cause: fault });
    ending.resolve({ kind: 'failed', error: firstFault });
  });
  // While we wait there may be nothing else that keeps the process alive, and it must not just fall asleep.
  const stopHolding = port.startTimer(foreverMs, () => {});

  try {
    enter('starting');
    watchStart(service, ending, () => {
      if (state === 'starting') enter('running');
    });
    const end = await ending.promise;

    let failure = end.kind === 'failed' ? end.error : undefined;
    // What never came up has taken nothing in, and what failed cannot be trusted to finish: both are only closed.
    if (failure === undefined && (state as ServiceState) === 'running') {
      enter('draining');
      failure = await withLimit('drain', () => service.drain(), drainTimeoutMs, port);
    }
    const closeFailure = await withLimit('close', () => service.close(), closeTimeoutMs, port);
    // Closing what failed often tells the same failure again.
    for (const error of new Set([failure, closeFailure])) {
      if (error !== undefined && error !== firstFault) logger.error({ err: error }, 'service failed');
    }
    const error = failure ?? firstFault ?? closeFailure;
    enter(error === undefined ? 'stopped' : 'failed');
    return {
      state: error === undefined ? 'stopped' : 'failed',
      exitCode: error?.exitCode ?? 0,
      ...(stopSignal === undefined ? {} : { signal: stopSignal }),
      ...(error === undefined ? {} : { error }),
    };
  } finally {
    stopHolding();
    unhearFaults();
    unhearSignals();
  }
}

function watchStart(service: Service, ending: PromiseWithResolvers<Ending>, onRunning: () => void): void {
  const fail = (error: unknown): void => {
    ending.resolve({ kind: 'failed', error: toAppError(error) });
  };
  // `async` so that a start that throws counts as one that rejects.
  const started = (async () => service.start())();
  started.then(onRunning, fail);
  // The end is heard only after the start: a file may be read to its end before start() has resolved.
  started.then(
    () => service.finished.then(() => ending.resolve({ kind: 'finished' }), fail),
    () => {},
  );
  // A service may reject `finished` while start() is still under way or after it failed; that is no unhandled rejection.
  service.finished.catch(() => {});
}

/** Does one step of stopping; gives what went wrong instead of throwing it, so that the next step is done all the same. */
async function withLimit(
  step: 'drain' | 'close',
  action: () => Promise<void>,
  limitMs: number,
  port: ProcessPort,
): Promise<AppError | undefined> {
  const late = Promise.withResolvers<AppError>();
  const cancel = port.startTimer(limitMs, () => {
    late.resolve(new AppError('SIGHTLINE_SHUTDOWN_INCOMPLETE', `${step} did not end within ${limitMs} ms`));
  });
  try {
    const done = (async () => action())().then(() => undefined, toAppError);
    return await Promise.race([done, late.promise]);
  } finally {
    cancel();
  }
}

function messageOf(fault: unknown): string {
  return fault instanceof Error ? fault.message : String(fault);
}
