import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReconnectPlan } from '../../../services/ingest/core/reconnect-plan.ts';
import { StallWatchdog } from '../../../services/ingest/core/stall-watchdog.ts';

describe('reconnect plan', () => {
  test('waits up to twice as long after each failure, and never longer than a minute', () => {
    const plan = new ReconnectPlan({ random: () => 0.999999 });
    const waits = Array.from({ length: 9 }, () => plan.nextDelayMs(0));
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  test('spreads the waits over the whole interval, but never asks without a pause', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(60), (random, failures) => {
        const plan = new ReconnectPlan({ random: () => random });
        for (let count = 0; count < failures; count++) plan.nextDelayMs(0);
        const waitMs = plan.nextDelayMs(0);
        expect(waitMs).toBeGreaterThanOrEqual(200);
        expect(waitMs).toBeLessThanOrEqual(60_000);
      }),
    );
  });

  test('begins with short waits again after a connection that held', () => {
    const plan = new ReconnectPlan({ random: () => 0.999999 });
    for (let count = 0; count < 5; count++) plan.nextDelayMs(1_000);
    expect(plan.nextDelayMs(30_000)).toBe(1000);
  });
});

describe('stall watchdog', () => {
  test('counts from the last frame', () => {
    const watchdog = new StallWatchdog(1000, 0);
    watchdog.noteFrame(400);
    expect(watchdog.remainingMs(1300)).toBe(100);
    expect(watchdog.remainingMs(1400)).toBe(0);
  });

  test('does not count the time in which the source was kept waiting', () => {
    const watchdog = new StallWatchdog(1000, 0);
    watchdog.pause(500);
    expect(watchdog.remainingMs(9000)).toBeNull();
    watchdog.resume(9000);
    expect(watchdog.remainingMs(9000)).toBe(500);
  });
});
