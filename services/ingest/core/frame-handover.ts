import type { BoundingBoxRecord, DropReason, MotionRecord } from '#schemas';
import { BoundedQueue } from '#shared/core/bounded-queue';
import type { Clock } from '#shared/core/clock';
import { AppError } from '#shared/core/errors';
import type { SampledFrame } from '#shared/core/frame';
import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';
import { cropFractions, cropRectangle } from '#shared/core/inference-geometry';
import { FrameAccounting, type KeptFrame } from './frame-accounting.ts';
import type { FrameFilter } from './frame-filter.ts';
import type { SourceFrame } from './ports.ts';
import { RateMeter } from './rate-meter.ts';

export interface FrameHandoverOptions {
  readonly cameraId: string;
  readonly epoch: number;
  readonly targetFps: number;
  readonly crop: BoundingBoxRecord | null;
  readonly tags: Readonly<Record<string, string>>;
  /** Null keeps every frame. */
  readonly filter: FrameFilter | null;
  /** True: the source waits from when the queue is full until it is nearly empty, and nothing is dropped. False: the newest wins. */
  readonly waits: boolean;
  readonly queueCapacity: number;
  /** Null for frames that nobody loses interest in. */
  readonly maxAgeMs: number | null;
  readonly pool: FrameBufferPool;
  readonly clock: Clock;
  /** Resolves when the frame was taken over; a rejection makes it a counted drop. */
  readonly publish: (frame: SampledFrame) => Promise<void>;
  readonly onOutcome: (outcome: FrameOutcome) => void;
  /** Share of inference; absent: 1. */
  readonly priority?: number;
  /** True while whoever takes frames does not answer: a full queue is then its fault and not that of slow inference. */
  readonly isBusTroubled?: () => boolean;
}

export type FrameOutcome =
  | { readonly kind: 'received' | 'filtered' | 'handed-on' }
  | { readonly kind: 'dropped'; readonly reason: DropReason; readonly cause?: unknown };

/** A source that waits goes on when this share of the queue is left, and then in one go until it is full again. */
const refillAt = 1 / 8;

interface WaitingFrame {
  readonly kept: KeptFrame;
  readonly frame: SourceFrame;
  readonly motion: MotionRecord | null;
  readonly acceptedMs: number;
}

/**
 * The way of the frames of one epoch from the source to whoever publishes them: counted, filtered, queued, and handed on one at a time,
 * so that they arrive in order and the counts on each are exact.
 */
export class FrameHandover {
  readonly accounting = new FrameAccounting();
  readonly #options: FrameHandoverOptions;
  readonly #queue: BoundedQueue<WaitingFrame>;
  readonly #handedOnRate = new RateMeter();
  #pumping: Promise<void> | null = null;
  #room: PromiseWithResolvers<void> | null = null;
  #abandoned: DropReason | null = null;
  #lastFrame: SourceFrame | null = null;
  /** Of the last size seen; a camera changes its size rarely. */
  #crop: { readonly widthPx: number; readonly heightPx: number; readonly box: BoundingBoxRecord } | null = null;

  constructor(options: FrameHandoverOptions) {
    this.#options = options;
    this.#queue = new BoundedQueue({
      name: `frames of ${options.cameraId}`,
      capacity: options.queueCapacity,
      whenFull: options.waits ? 'reject' : 'drop-oldest',
    });
  }

  get effectiveFps(): number {
    return this.#handedOnRate.fps;
  }

  /** Takes over the frame. A promise back: the queue is full, wait with the next one. */
  accept(frame: SourceFrame): Promise<void> | undefined {
    const { filter, pool, onOutcome } = this.#options;
    onOutcome({ kind: 'received' });
    this.#lastFrame = frame;
    let motion: MotionRecord | null = null;
    if (filter !== null) {
      const verdict = filter.judge(frame.image, this.#mediaTimeMs(frame));
      if (!verdict.keep) {
        this.accounting.filter();
        pool.give(frame.image.data);
        onOutcome({ kind: 'filtered' });
        return undefined;
      }
      motion = verdict.motion;
    }
    const waiting = { kept: this.accounting.keep(), frame, motion, acceptedMs: this.#options.clock.monotonicMs() };
    if (this.#abandoned !== null) {
      this.#drop(waiting, this.#abandoned);
      return undefined;
    }
    const displaced = this.#queue.offer(waiting);
    if (displaced !== undefined)
      this.#drop(displaced, this.#options.isBusTroubled?.() === true ? 'bus_unavailable' : 'ring_full');
    this.#pumping ??= this.#pump();
    if (!this.#options.waits || !this.#queue.isFull) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /** No more frames come: hands on what waits, then tells the counts that no frame carried. Resolves when all is told. */
  async finish(): Promise<void> {
    await this.#pumping;
    const last = this.#lastFrame;
    const closing = last === null ? null : this.accounting.close(this.#rates());
    if (last === null || closing === null) return;
    try {
      await this.#options.publish({
        ...this.#envelope(last),
        frameSeq: closing.frameSeq,
        fate: closing.fate,
        image: null,
        motion: null,
        accounting: closing.accounting,
        deadlineMs: null,
      });
    } catch (cause) {
      // Its counts are then missing in the records, which `results verify` shows as a gap: the one thing that cannot be counted in-band.
      this.#options.onOutcome({ kind: 'dropped', reason: 'bus_unavailable', cause });
    }
  }

  /** Stops handing on: what waits and what still comes is dropped for this reason. */
  abandon(reason: DropReason): void {
    this.#abandoned = reason;
    for (let waiting = this.#queue.take(); waiting !== undefined; waiting = this.#queue.take())
      this.#drop(waiting, reason);
    this.#giveRoom();
  }

  async #pump(): Promise<void> {
    for (let waiting = this.#queue.take(); waiting !== undefined; waiting = this.#queue.take()) {
      if (this.#queue.size <= this.#queue.capacity * refillAt) this.#giveRoom();
      await this.#handOn(waiting);
    }
    this.#pumping = null;
  }

  async #handOn(waiting: WaitingFrame): Promise<void> {
    const { frame, kept, motion } = waiting;
    const { maxAgeMs } = this.#options;
    this.#handedOnRate.note(frame.times.captureTimeUs);
    const envelope = this.#envelope(frame);
    try {
      await this.#options.publish({
        ...envelope,
        frameSeq: kept.frameSeq,
        fate: 'analyse',
        image: frame.image,
        motion: motion === null ? null : inPicture(motion, envelope.crop),
        accounting: this.accounting.recordFor(kept, this.#rates()),
        // From the moment of ingest, not of the hand-over: time in the queue makes a frame older too.
        deadlineMs: maxAgeMs === null ? null : waiting.acceptedMs + maxAgeMs,
      });
    } catch (cause) {
      this.#drop(waiting, isTooLarge(cause) ? 'oversize' : 'bus_unavailable', cause);
      return;
    }
    this.accounting.handedOn(kept);
    this.#options.onOutcome({ kind: 'handed-on' });
  }

  #drop(waiting: WaitingFrame, reason: DropReason, cause?: unknown): void {
    this.accounting.drop(waiting.kept, reason);
    this.#options.pool.give(waiting.frame.image.data);
    this.#options.onOutcome({ kind: 'dropped', reason, ...(cause === undefined ? {} : { cause }) });
  }

  #giveRoom(): void {
    this.#room?.resolve();
    this.#room = null;
  }

  #envelope(frame: SourceFrame) {
    const { cameraId, epoch, tags, priority } = this.#options;
    const crop = this.#cropOf(frame);
    return {
      cameraId,
      epoch,
      times: frame.times,
      sourceWidthPx: frame.sourceWidthPx,
      sourceHeightPx: frame.sourceHeightPx,
      ...(crop === null ? {} : { crop }),
      ...(priority === undefined ? {} : { priority }),
      tags,
    };
  }

  #cropOf(frame: SourceFrame): BoundingBoxRecord | null {
    const { crop } = this.#options;
    if (crop === null) return null;
    const { sourceWidthPx: widthPx, sourceHeightPx: heightPx } = frame;
    if (this.#crop?.widthPx !== widthPx || this.#crop.heightPx !== heightPx) {
      const box = cropFractions(cropRectangle(widthPx, heightPx, crop), widthPx, heightPx);
      this.#crop = { widthPx, heightPx, box };
    }
    return this.#crop.box;
  }

  #rates() {
    return { targetFps: this.#options.targetFps, effectiveFps: this.#handedOnRate.fps };
  }

  #mediaTimeMs(frame: SourceFrame): number {
    return frame.times.ptsUs === null ? this.#options.clock.monotonicMs() : frame.times.ptsUs / 1000;
  }
}

function isTooLarge(cause: unknown): boolean {
  return cause instanceof AppError && cause.code === 'SIGHTLINE_KAFKA_RECORD_TOO_LARGE';
}

/** Regions are found in what was cut out, and told as fractions of the whole picture. */
function inPicture(motion: MotionRecord, crop: BoundingBoxRecord | undefined): MotionRecord {
  if (crop === undefined) return motion;
  return {
    score: motion.score,
    regions: motion.regions.map((region) => ({
      x: crop.x + region.x * crop.width,
      y: crop.y + region.y * crop.height,
      width: region.width * crop.width,
      height: region.height * crop.height,
    })),
  };
}
