import { describe, expect, it } from 'vitest';

import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { Service, ServiceState } from '#shared/core/service';
import type { ProcessPort, StopSignal } from '#shared/runtime/process-port';
import { runService, superviseService } from '#shared/runtime/run-service';

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent };

/** A process whose signals, faults and time the test plays. */
function playProcess() {
  let onSignal: ((signal: StopSignal) => void) | undefined;
  let onFault: ((fault: unknown) => void) | undefined;
  const timers = new Set<{ readonly delayMs: number; readonly action: () => void }>();
  const exits: number[] = [];
  const port: ProcessPort = {
    onSignal: (listener) => {
      onSignal = listener;
      return () => (onSignal = undefined);
    },
    onFault: (listener) => {
      onFault = listener;
      return () => (onFault = undefined);
    },
    startTimer: (delayMs, action) => {
      const timer = { delayMs, action };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    exit: (code) => exits.push(code),
  };
  return {
    port,
    exits,
    signal: (signal: StopSignal) => onSignal?.(signal),
    fault: (fault: unknown) => onFault?.(fault),
    /** Lets the timer of this length run out. */
    expire: (delayMs: number) => {
      for (const timer of timers) if (timer.delayMs === delayMs) timer.action();
    },
    isListening: () => onSignal !== undefined || onFault !== undefined || timers.size > 0,
  };
}

interface Script {
  readonly start?: () => Promise<void>;
  readonly drain?: () => Promise<void>;
  readonly close?: () => Promise<void>;
}

function scriptedService(script: Script = {}) {
  const calls: string[] = [];
  const end = Promise.withResolvers<void>();
  const step = (name: 'start' | 'drain' | 'close') => async (): Promise<void> => {
    calls.push(name);
    await script[name]?.();
  };
  const service: Service = {
    name: 'scripted',
    start: step('start'),
    finished: end.promise,
    drain: step('drain'),
    close: step('close'),
    readiness: () => ({ ready: true }),
  };
  return { service, calls, finish: end.resolve, fail: end.reject };
}

function supervise(service: Service, port: ProcessPort) {
  const states: ServiceState[] = [];
  const reached = new Map<ServiceState, PromiseWithResolvers<void>>();
  const waitFor = (state: ServiceState): PromiseWithResolvers<void> => {
    const waiting = reached.get(state) ?? Promise.withResolvers<void>();
    reached.set(state, waiting);
    return waiting;
  };
  const outcome = superviseService(service, {
    logger: silent,
    process: port,
    drainTimeoutMs: 100,
    closeTimeoutMs: 50,
    onState: (state) => {
      states.push(state);
      waitFor(state).resolve();
    },
  });
  return { outcome, states, until: (state: ServiceState) => waitFor(state).promise };
}

const never = (): Promise<never> => new Promise(() => {});

describe('superviseService', () => {
  it('drains, closes and ends with 0 when the service finishes by itself', async () => {
    const play = playProcess();
    const { service, calls, finish } = scriptedService();
    const run = supervise(service, play.port);
    finish();
    expect(await run.outcome).toEqual({ state: 'stopped', exitCode: 0 });
    expect(run.states).toEqual(['starting', 'running', 'draining', 'stopped']);
    expect(calls).toEqual(['start', 'drain', 'close']);
  });

  it('drains, closes and ends with 0 at the first signal', async () => {
    const play = playProcess();
    const { service, calls } = scriptedService();
    const run = supervise(service, play.port);
    await run.until('running');
    play.signal('SIGTERM');
    expect(await run.outcome).toEqual({ state: 'stopped', exitCode: 0, signal: 'SIGTERM' });
    expect(calls).toEqual(['start', 'drain', 'close']);
  });

  it('ends at once with 128 and the number of a second signal', async () => {
    const play = playProcess();
    const run = supervise(scriptedService({ drain: never }).service, play.port);
    await run.until('running');
    play.signal('SIGTERM');
    await run.until('draining');
    play.signal('SIGINT');
    expect(play.exits).toEqual([130]);
  });

  it('closes without draining when the signal comes during the start', async () => {
    const play = playProcess();
    const { service, calls } = scriptedService({ start: never });
    const run = supervise(service, play.port);
    play.signal('SIGINT');
    expect(await run.outcome).toEqual({ state: 'stopped', exitCode: 0, signal: 'SIGINT' });
    expect(calls).toEqual(['start', 'close']);
  });

  it('fails with the exit code of the error when the start fails, and closes what was made', async () => {
    const play = playProcess();
    const error = new AppError('SIGHTLINE_CONFIG_INVALID', 'no camera');
    const { service, calls } = scriptedService({ start: () => Promise.reject(error) });
    const run = supervise(service, play.port);
    expect(await run.outcome).toEqual({ state: 'failed', exitCode: 2, error });
    expect(run.states).toEqual(['starting', 'failed']);
    expect(calls).toEqual(['start', 'close']);
  });

  it('fails with 70 when the service breaks while it runs, and does not drain it', async () => {
    const play = playProcess();
    const { service, calls, fail } = scriptedService();
    const run = supervise(service, play.port);
    await run.until('running');
    fail(new Error('lost'));
    expect(await run.outcome).toMatchObject({ state: 'failed', exitCode: 70 });
    expect(calls).toEqual(['start', 'close']);
  });

  it('fails with 70 on a fault that nobody caught, and still closes', async () => {
    const play = playProcess();
    const { service, calls } = scriptedService();
    const run = supervise(service, play.port);
    await run.until('running');
    play.fault(new TypeError('x is not a function'));
    expect(await run.outcome).toMatchObject({ state: 'failed', exitCode: 70, error: { code: 'SIGHTLINE_INTERNAL' } });
    expect(calls).toEqual(['start', 'close']);
  });

  it('fails with 70 when a fault comes while it drains', async () => {
    const play = playProcess();
    const { service, finish } = scriptedService({
      drain: async () => {
        play.fault(new Error('late'));
      },
    });
    const run = supervise(service, play.port);
    finish();
    expect(await run.outcome).toMatchObject({ state: 'failed', exitCode: 70 });
  });

  it('closes after a drain that takes too long, and says that it is incomplete', async () => {
    const play = playProcess();
    const { service, calls, finish } = scriptedService({ drain: never });
    const run = supervise(service, play.port);
    finish();
    await run.until('draining');
    await Promise.resolve();
    play.expire(100);
    expect(await run.outcome).toMatchObject({
      state: 'failed',
      exitCode: 70,
      error: { code: 'SIGHTLINE_SHUTDOWN_INCOMPLETE' },
    });
    expect(calls).toEqual(['start', 'drain', 'close']);
  });

  it('closes after a drain that fails, and keeps the first error', async () => {
    const play = playProcess();
    const { service, calls, finish } = scriptedService({
      drain: () => Promise.reject(new AppError('SIGHTLINE_CONFIG_INVALID', 'first')),
      close: () => Promise.reject(new Error('second')),
    });
    const run = supervise(service, play.port);
    finish();
    expect(await run.outcome).toMatchObject({ state: 'failed', exitCode: 2, error: { message: 'first' } });
    expect(calls).toEqual(['start', 'drain', 'close']);
  });

  it('gives up on a close that takes too long', async () => {
    const play = playProcess();
    const closing = Promise.withResolvers<void>();
    const { service, finish } = scriptedService({
      close: () => {
        closing.resolve();
        return never();
      },
    });
    const run = supervise(service, play.port);
    finish();
    await closing.promise;
    play.expire(50);
    expect(await run.outcome).toMatchObject({ state: 'failed', error: { code: 'SIGHTLINE_SHUTDOWN_INCOMPLETE' } });
  });

  it('lets go of signals, faults and timers when it is done', async () => {
    const play = playProcess();
    const { service, finish } = scriptedService();
    const run = supervise(service, play.port);
    expect(play.isListening()).toBe(true);
    finish();
    await run.outcome;
    expect(play.isListening()).toBe(false);
  });
});

describe('runService', () => {
  it('ends the process with the code of the outcome', async () => {
    const play = playProcess();
    const { service, fail } = scriptedService();
    fail(new AppError('SIGHTLINE_USAGE', 'no'));
    await runService(service, { logger: silent, process: play.port });
    expect(play.exits).toEqual([2]);
  });
});
