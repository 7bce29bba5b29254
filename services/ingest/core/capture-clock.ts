import type { CaptureTimeSource } from '#schemas';
import type { Clock } from '#shared/core/clock';

/** What is known of when the light hit the camera. */
export interface CaptureEstimate {
  /** Microseconds since 1970-01-01 UTC. */
  readonly captureTimeUs: number;
  readonly source: CaptureTimeSource;
  /** Half-width of the interval that the capture time is believed to lie in; null where nothing is known. */
  readonly errorMs: number | null;
}

/** Maps the decoder's presentation time of a frame to the wall-clock time of its capture. */
export interface CaptureClock {
  /**
   * `ptsUs` is the presentation time as the demuxer gives it (for ffmpeg: run with `-copyts`, else a stream whose first packet is not the
   * earliest is shifted); null where the frame has none, which gives the time of ingest. Cheap: call it for every frame.
   */
  captureTimeOf(ptsUs: number | null, ingestTimeUs: number): CaptureEstimate;
  /** Source that the next estimate will have. */
  readonly source: CaptureTimeSource;
  /**
   * The camera's clock minus ours in milliseconds, as its last sender report had it on arrival (so the way here counts against it); null
   * before the first report. A large one means that the camera wants NTP.
   */
  readonly clockOffsetMs: number | null;
  /** True when the camera reports a time that cannot be (1900, 1970, hours off), so that its reports are not used. */
  readonly isCameraClockAbsurd: boolean;
}

/** For streams that carry no clock of their own: the capture time is the time of arrival, and nothing is known of the way. */
export function createArrivalClock(): CaptureClock {
  return {
    source: 'ARRIVAL',
    clockOffsetMs: null,
    isCameraClockAbsurd: false,
    captureTimeOf: (_ptsUs, ingestTimeUs) => ({ captureTimeUs: ingestTimeUs, source: 'ARRIVAL', errorMs: null }),
  };
}

export interface RtpCaptureClockOptions {
  readonly clockRateHz: number;
  readonly clock: Clock;
  /**
   * A camera clock further from ours than this is absurd and not used. Default 1 hour: one that lost its battery says 1970 or its build
   * date, while one without NTP drifts by minutes and is still good for order and distance.
   */
  readonly maxClockOffsetMs?: number;
}

const defaultMaxClockOffsetMs = 3_600_000;
/** The smallest delay is kept per slot and forgotten with it, so that the drift of a camera's crystal (about 50 ppm) stays below 2 ms. */
const slotMs = 5_000;
const slotCount = 6;
/** ffmpeg's pts, our rounding and the packetiser's: below this no bound is believed. */
const minimumErrorMs = 1;

interface SenderReport {
  readonly ntpUs: number;
  readonly rtp: number;
}

interface DelaySlot {
  startMs: number;
  lowestUs: number;
  highestUs: number;
}

/**
 * The clock of one RTP video stream, fed with every packet that is forwarded to the decoder and with every sender report.
 *
 * libavformat's pts 0 is the RTP timestamp of the first packet that it is given, except that it tells "none yet" by the value 0: a first
 * timestamp of exactly 0 is passed over. `noteRtp` follows that rule, so packets before the first one forwarded must not be fed.
 *
 * Error bound. RTCP_SR: |clock offset| plus the disagreement between the last two reports; it holds when either the camera's clock or ours
 * is right, and the offset includes the way here, so it is on the safe side. ARRIVAL: the spread of the delay over the last half minute;
 * the constant part of the delay (exposure, encoding, network) cannot be seen from here and is not in it.
 */
export class RtpCaptureClock implements CaptureClock {
  readonly #rateHz: number;
  readonly #clock: Clock;
  readonly #maxOffsetMs: number;
  #base: number | null = null;
  #lastTimestamp: number | null = null;
  #unwrapped = 0;
  #report: SenderReport | null = null;
  #reportDriftMs = 0;
  #offsetMs: number | null = null;
  #isAbsurd = false;
  #slots: DelaySlot[] = [];

  constructor(options: RtpCaptureClockOptions) {
    this.#rateHz = options.clockRateHz;
    this.#clock = options.clock;
    this.#maxOffsetMs = options.maxClockOffsetMs ?? defaultMaxClockOffsetMs;
  }

  get source(): CaptureTimeSource {
    return this.#report === null ? 'ARRIVAL' : 'RTCP_SR';
  }

  get clockOffsetMs(): number | null {
    return this.#offsetMs;
  }

  get isCameraClockAbsurd(): boolean {
    return this.#isAbsurd;
  }

  /** One forwarded RTP packet, in the order forwarded. */
  noteRtp(timestamp: number): void {
    // All packets of a picture carry one timestamp, and the first of them arrives closest to the capture.
    if (timestamp === this.#lastTimestamp) return;
    this.#unwrapped = this.#unwrap(timestamp);
    this.#lastTimestamp = timestamp;
    if (timestamp !== 0) this.#base ??= this.#unwrapped;
    this.#noteDelay();
  }

  /** One sender report: its NTP time as microseconds since 1970, and the RTP timestamp that it belongs to. */
  noteSenderReport(ntpUs: number, rtpTimestamp: number): void {
    const offsetMs = (ntpUs - this.#clock.nowUs()) / 1000;
    this.#offsetMs = offsetMs;
    this.#isAbsurd = Math.abs(offsetMs) > this.#maxOffsetMs;
    if (this.#isAbsurd) {
      this.#report = null;
      return;
    }
    const rtp = this.#unwrap(rtpTimestamp);
    const previous = this.#report;
    this.#reportDriftMs = previous === null ? 0 : Math.abs(ntpUs - this.#wallAt(previous, rtp)) / 1000;
    this.#report = { ntpUs, rtp };
  }

  captureTimeOf(ptsUs: number | null, ingestTimeUs: number): CaptureEstimate {
    if (ptsUs === null || this.#base === null) return { captureTimeUs: ingestTimeUs, source: 'ARRIVAL', errorMs: null };
    const rtp = this.#base + (ptsUs * this.#rateHz) / 1_000_000;
    if (this.#report !== null) {
      const errorMs = Math.abs(this.#offsetMs ?? 0) + this.#reportDriftMs;
      return {
        captureTimeUs: Math.round(this.#wallAt(this.#report, rtp)),
        source: 'RTCP_SR',
        errorMs: atLeast(errorMs),
      };
    }
    let lowestUs = Infinity;
    let highestUs = -Infinity;
    for (const slot of this.#slots) {
      lowestUs = Math.min(lowestUs, slot.lowestUs);
      highestUs = Math.max(highestUs, slot.highestUs);
    }
    // Kept against the monotonic clock and turned into wall time only here: a step of our clock moves the result and breaks no delay.
    const wallMinusMonotonicUs = this.#clock.nowUs() - this.#clock.monotonicMs() * 1000;
    const captureTimeUs = Math.round((rtp / this.#rateHz) * 1_000_000 + lowestUs + wallMinusMonotonicUs);
    return { captureTimeUs, source: 'ARRIVAL', errorMs: atLeast((highestUs - lowestUs) / 1000) };
  }

  /** Nearest to the last timestamp, modulo 2^32: packets go back by a few pictures (B-frames) and forward by gaps. */
  #unwrap(timestamp: number): number {
    if (this.#lastTimestamp === null) {
      // A report may come before the first packet, and the wrap between the two.
      return this.#report === null ? timestamp : this.#report.rtp + ((timestamp - this.#report.rtp) | 0);
    }
    return this.#unwrapped + ((timestamp - this.#lastTimestamp) | 0);
  }

  #wallAt(report: SenderReport, rtp: number): number {
    return report.ntpUs + ((rtp - report.rtp) / this.#rateHz) * 1_000_000;
  }

  #noteDelay(): void {
    const nowMs = this.#clock.monotonicMs();
    const delayUs = nowMs * 1000 - (this.#unwrapped / this.#rateHz) * 1_000_000;
    const slot = this.#slots.at(-1);
    if (slot === undefined || nowMs - slot.startMs >= slotMs) {
      this.#slots.push({ startMs: nowMs, lowestUs: delayUs, highestUs: delayUs });
      if (this.#slots.length > slotCount) this.#slots.shift();
      return;
    }
    slot.lowestUs = Math.min(slot.lowestUs, delayUs);
    slot.highestUs = Math.max(slot.highestUs, delayUs);
  }
}

function atLeast(errorMs: number): number {
  return Math.max(minimumErrorMs, errorMs);
}
