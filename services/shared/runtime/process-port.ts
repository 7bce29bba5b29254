import { constants } from 'node:os';

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** What `runService` needs of the process it lives in; a test plays it. */
export interface ProcessPort {
  /** Calls `listener` at each signal that asks to stop; returns how to stop listening. */
  onSignal(listener: (signal: StopSignal) => void): () => void;
  /** Calls `listener` with what nobody caught; returns how to stop listening. */
  onFault(listener: (fault: unknown) => void): () => void;
  /** Calls `action` after `delayMs` and keeps the process alive until then; returns how to cancel. */
  startTimer(delayMs: number, action: () => void): () => void;
  exit(code: number): void;
}

const stopSignals: readonly StopSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** Ctrl-C reaches us from the terminal and once more from npm or our launcher, which hand on what they hear. */
const copyWindowMs = 300;

export function signalNumber(signal: StopSignal): number {
  return constants.signals[signal];
}

export function createProcessPort(environment: NodeJS.ProcessEnv = process.env): ProcessPort {
  const copiesComing =
    environment['SIGHTLINE_SIGNALS_FORWARDED'] !== undefined || environment['npm_lifecycle_event'] !== undefined;
  return {
    onSignal(listener) {
      const lastHeardMs = new Map<StopSignal, number>();
      const hear = (signal: StopSignal): void => {
        const now = performance.now();
        const isCopy = copiesComing && now - (lastHeardMs.get(signal) ?? -Infinity) < copyWindowMs;
        if (!isCopy) {
          lastHeardMs.set(signal, now);
          listener(signal);
        }
      };
      for (const signal of stopSignals) process.on(signal, hear);
      return () => {
        for (const signal of stopSignals) process.off(signal, hear);
      };
    },
    onFault(listener) {
      process.on('uncaughtException', listener);
      process.on('unhandledRejection', listener);
      return () => {
        process.off('uncaughtException', listener);
        process.off('unhandledRejection', listener);
      };
    },
    startTimer(delayMs, action) {
      const timer = setTimeout(action, delayMs);
      return () => {
        clearTimeout(timer);
      };
    },
    exit(code) {
      const signal = stopSignals.find((name) => code === 128 + signalNumber(name));
      if (signal !== undefined) {
        // By the signal itself: process.exit ends worker threads first, and one that is inside a model's native code brings the process
        // down with an abort and a core dump. To a shell both are 128 + n.
        process.removeAllListeners(signal);
        process.kill(process.pid, signal);
      }
      // Still here with a signal: the first process of a container does not die of its own.
      process.exit(code);
    },
  };
}
