import { describe, expect, test } from 'vitest';
import type { Clock } from '#shared/core/clock';
import { createArrivalClock, RtpCaptureClock } from '../../../services/ingest/core/capture-clock.ts';

const rateHz = 90_000;
const startUs = 1_800_000_000_000_000;

/** A clock that stands where it was put. */
class HeldClock implements Clock {
  ms = 1000;
  stepUs = 0;
  nowUs(): number {
    return startUs + this.ms * 1000 + this.stepUs;
  }
  monotonicMs(): number {
    return this.ms;
  }
  sleep(): Promise<void> {
    return Promise.resolve();
  }
}

function createClock(): { held: HeldClock; clock: RtpCaptureClock } {
  const held = new HeldClock();
  return { held, clock: new RtpCaptureClock({ clockRateHz: rateHz, clock: held }) };
}

describe('RtpCaptureClock with sender reports', () => {
  test('gives the time of the report for the timestamp of the report', () => {
    const { held, clock } = createClock();
    clock.noteRtp(5000);
    clock.noteSenderReport(held.nowUs() - 20_000, 5000);
    expect(clock.captureTimeOf(0, held.nowUs())).toEqual({
      captureTimeUs: held.nowUs() - 20_000,
      source: 'RTCP_SR',
      errorMs: 20,
    });
  });

  test('counts on from the report by the clock rate of the stream', () => {
    const { held, clock } = createClock();
    clock.noteRtp(5000);
    clock.noteSenderReport(held.nowUs(), 5000);
    expect(clock.captureTimeOf(2_000_000, 0).captureTimeUs).toBe(held.nowUs() + 2_000_000);
    expect(clock.captureTimeOf(-40_000, 0).captureTimeUs).toBe(held.nowUs() - 40_000);
  });

  test('goes on over the wrap of the 32-bit timestamp', () => {
    const { held, clock } = createClock();
    const first = 2 ** 32 - 90_000;
    for (let second = 0; second < 3; second++) {
      clock.noteRtp((first + second * rateHz) >>> 0);
      held.ms += 1000;
    }
    const reportUs = held.nowUs();
    clock.noteSenderReport(reportUs, 90_000);
    // The report speaks of 2 s after the first packet.
    expect(clock.captureTimeOf(2_000_000, 0).captureTimeUs).toBe(reportUs);
    expect(clock.captureTimeOf(0, 0).captureTimeUs).toBe(reportUs - 2_000_000);
  });

  test('takes a report that comes before the wrap for a packet after it', () => {
    const { held, clock } = createClock();
    clock.noteRtp(1000);
    clock.noteSenderReport(held.nowUs(), (2 ** 32 + 1000 - rateHz) >>> 0);
    expect(clock.captureTimeOf(0, 0).captureTimeUs).toBe(held.nowUs() + 1_000_000);
  });

  test('takes a report that comes before the first packet, with the wrap between the two', () => {
    const { held, clock } = createClock();
    clock.noteSenderReport(held.nowUs(), 2 ** 32 - 45_000);
    clock.noteRtp(45_000);
    expect(clock.captureTimeOf(0, 0).captureTimeUs).toBe(held.nowUs() + 1_000_000);
  });

  test('passes over a first timestamp of exactly 0, as the decoder does', () => {
    const { held, clock } = createClock();
    clock.noteRtp(0);
    clock.noteRtp(3600);
    clock.noteSenderReport(held.nowUs(), 3600);
    expect(clock.captureTimeOf(0, 0).captureTimeUs).toBe(held.nowUs());
  });

  test('unwraps the timestamps of B-frames, which go back', () => {
    const { held, clock } = createClock();
    for (const timestamp of [9000, 18_000, 12_000, 15_000, 27_000]) clock.noteRtp(timestamp);
    clock.noteSenderReport(held.nowUs(), 27_000);
    expect(clock.captureTimeOf(200_000, 0).captureTimeUs).toBe(held.nowUs());
  });

  test('says how far the clock of the camera is off and widens the error by it', () => {
    const { held, clock } = createClock();
    clock.noteRtp(1);
    clock.noteSenderReport(held.nowUs() + 90_000_000, 1);
    expect(clock.clockOffsetMs).toBe(90_000);
    expect(clock.captureTimeOf(0, 0)).toMatchObject({ source: 'RTCP_SR', errorMs: 90_000 });
  });

  test('widens the error where two reports disagree', () => {
    const { held, clock } = createClock();
    clock.noteRtp(1000);
    clock.noteSenderReport(held.nowUs(), 1000);
    held.ms += 1000;
    clock.noteSenderReport(held.nowUs(), 1000 + rateHz + rateHz / 10);
    expect(clock.captureTimeOf(0, 0).errorMs).toBeCloseTo(100);
  });

  test.each([
    ['1900', -2_208_988_800_000_000],
    ['1970', 0],
    ['two hours ahead', startUs + 7_200_000_000],
  ])('falls back to arrival when the camera thinks it is %s', (_what, ntpUs) => {
    const { held, clock } = createClock();
    clock.noteRtp(1000);
    clock.noteSenderReport(ntpUs, 1000);
    expect(clock.isCameraClockAbsurd).toBe(true);
    expect(clock.captureTimeOf(0, held.nowUs())).toMatchObject({ source: 'ARRIVAL', captureTimeUs: held.nowUs() });
  });
});

describe('RtpCaptureClock without sender reports', () => {
  test('maps by the packet that came fastest and gives the spread as error', () => {
    const { held, clock } = createClock();
    const delaysMs = [60, 20, 35];
    delaysMs.forEach((delayMs, index) => {
      held.ms = 1000 + index * 100 + delayMs;
      clock.noteRtp(500 + index * 9000);
    });
    const estimate = clock.captureTimeOf(200_000, held.nowUs());
    expect(estimate).toEqual({ captureTimeUs: startUs + 1_220_000, source: 'ARRIVAL', errorMs: 40 });
  });

  test('follows a step of our own clock at once', () => {
    const { held, clock } = createClock();
    clock.noteRtp(500);
    held.stepUs = 3_000_000;
    expect(clock.captureTimeOf(0, 0).captureTimeUs).toBe(held.nowUs());
  });

  test('forgets a small delay after half a minute, so that a drifting camera stays in step', () => {
    const { held, clock } = createClock();
    // The camera counts 1 % too slow.
    for (let second = 0; second <= 120; second++) {
      held.ms = 1000 + second * 1000;
      clock.noteRtp(Math.round(500 + second * rateHz * 0.99));
    }
    const ageMs = (held.nowUs() - clock.captureTimeOf(120 * 0.99 * 1_000_000, 0).captureTimeUs) / 1000;
    expect(ageMs).toBeGreaterThanOrEqual(0);
    expect(ageMs).toBeLessThanOrEqual(310);
  });

  test('gives the time of ingest before the first packet and for frames without a time', () => {
    const { held, clock } = createClock();
    const unknown = { captureTimeUs: 77, source: 'ARRIVAL', errorMs: null };
    expect(clock.captureTimeOf(0, 77)).toEqual(unknown);
    clock.noteRtp(1);
    expect(clock.captureTimeOf(null, 77)).toEqual(unknown);
    expect(held.ms).toBe(1000);
  });
});

test('the arrival clock gives the time of ingest and claims nothing', () => {
  expect(createArrivalClock().captureTimeOf(5, 99)).toEqual({ captureTimeUs: 99, source: 'ARRIVAL', errorMs: null });
});
