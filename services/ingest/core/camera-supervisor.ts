import type { CameraState, CameraStatus, DropReason, ProducerRecord, ReasonCode } from '#schemas';
import type { Clock } from '#shared/core/clock';
import type { ErrorCode } from '#shared/core/error-catalogue';
import { type AppError, toAppError } from '#shared/core/errors';
import type { SampledFrame } from '#shared/core/frame';
import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { Logger } from '#shared/core/logger';
import { reasonOf } from './camera-failure.ts';
import { waitsForReader, type CameraSpec } from './camera-spec.ts';
import { CameraStateMachine, type CameraChange, type CameraFigures } from './camera-state.ts';
import { FrameFilter } from './frame-filter.ts';
import { FrameHandover, type FrameOutcome } from './frame-handover.ts';
import { changeForTrouble, PictureHealth, type PictureTrouble } from './picture-health.ts';
import type { EpochStore, FrameSource, OpenFrameSource, SourceFrame, StreamEnd, StreamFacts } from './ports.ts';
import { RateMeter } from './rate-meter.ts';
import type { ReconnectPlan } from './reconnect-plan.ts';
import { StallWatchdog } from './stall-watchdog.ts';

export interface CameraSupervisorOptions {
  readonly camera: CameraSpec;
  readonly openSource: OpenFrameSource;
  readonly epochs: EpochStore;
  readonly publishFrame: (frame: SampledFrame) => Promise<void>;
  readonly publishStatus: (status: CameraStatus) => Promise<void>;
  readonly pool: FrameBufferPool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly producer: ProducerRecord;
  readonly reconnectPlan: ReconnectPlan;
  readonly queueCapacity: number;
  readonly fileQueueCapacity: number;
  /** See FrameHandoverOptions. */
  readonly isBusTroubled?: () => boolean;
  readonly onOutcome: (outcome: FrameOutcome) => void;
  readonly onDecodeErrors: (count: number) => void;
  readonly onReconnect: () => void;
}

/** A camera as a live display shows it. */
export interface CameraSnapshot {
  readonly id: string;
  readonly state: CameraState;
  readonly reason: ReasonCode;
  readonly reasonText: string;
  /** Of the failure behind the reason; null where there is none. */
  readonly errorCode: ErrorCode | null;
  readonly epoch: number;
  readonly facts: StreamFacts | null;
  /** Of the frames received, in media time. */
  readonly fps: number;
  /** Totals over all epochs of this run. */
  readonly received: number;
  readonly handedOn: number;
  readonly filtered: number;
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  readonly decodeErrors: number;
  readonly reconnects: number;
  readonly lastFrameAgeMs: number | null;
  /** 0..1 of a file of known length that is not looped; else null. */
  readonly progress: number | null;
}

/** What is kept of one connection. */
interface Connection {
  readonly handover: FrameHandover;
  readonly watchdog: StallWatchdog;
  readonly health: PictureHealth;
  readonly startedMs: number;
  firstFrameMs: number | null;
}

/**
 * Keeps one camera running: connects, takes its frames over, notices when it falls silent, and connects again; each change of state
 * becomes one CameraStatus. Nothing that a camera does makes `run` reject.
 */
export class CameraSupervisor {
  readonly #options: CameraSupervisorOptions;
  readonly #state: CameraStateMachine;
  readonly #stop = new AbortController();
  readonly #received = new RateMeter();
  #running: Promise<void> | null = null;
  #connection: Connection | null = null;
  #abandoned: DropReason | null = null;
  #statuses: Promise<void> = Promise.resolve();
  #epoch = 0;
  #facts: StreamFacts | null = null;
  #lastFrame: SourceFrame | null = null;
  #lastFrameMs: number | null = null;
  #reconnects = 0;
  #error: AppError | null = null;
  #busTroubled = false;
  readonly #totals = { received: 0, handedOn: 0, filtered: 0, decodeErrors: 0 };
  readonly #dropped: Partial<Record<DropReason, number>> = {};

  constructor(options: CameraSupervisorOptions) {
    const { camera, producer } = options;
    this.#options = options;
    this.#state = new CameraStateMachine({ cameraId: camera.id, producer, tags: camera.tags });
  }

  /** Resolves when the camera reached its end (a file, a rejected camera) or was stopped, and everything of it is told and gone. */
  run(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  /** Ends the connection; what was received is still handed on. */
  stop(): void {
    this.#stop.abort();
  }

  /** Ends the connection and drops what still waits. */
  abandon(): void {
    this.#abandoned = 'bus_unavailable';
    this.#connection?.handover.abandon(this.#abandoned);
    this.#stop.abort();
  }

  snapshot(): CameraSnapshot {
    const { camera, clock } = this.#options;
    return {
      id: camera.id,
      state: this.#state.state,
      reason: this.#state.reason,
      reasonText: this.#state.text,
      errorCode: this.#error?.code ?? null,
      epoch: this.#epoch,
      facts: this.#facts,
      fps: this.#received.fps,
      ...this.#totals,
      dropped: { ...this.#dropped },
      reconnects: this.#reconnects,
      lastFrameAgeMs: this.#lastFrameMs === null ? null : clock.monotonicMs() - this.#lastFrameMs,
      progress: this.#progress(),
    };
  }

  async #run(): Promise<void> {
    const { camera, clock, epochs, reconnectPlan, logger } = this.#options;
    try {
      for (;;) {
        this.#epoch = await epochs.next(camera.id);
        this.#connection = null;
        this.#facts = null;
        this.#change({ state: 'CONNECTING', reason: 'NONE', text: 'connecting' });
        const { end, deliveredMs } = await this.#connect();
        this.#error = end.error;
        const final = this.#finalChange(end);
        if (final !== null) {
          this.#change(final);
          break;
        }
        const backoffMs = reconnectPlan.nextDelayMs(deliveredMs);
        const retryAtUs = Math.round(clock.nowUs() + backoffMs * 1000);
        this.#change({ state: 'OFFLINE', reason: end.reason, text: end.text, retryAtUs, backoffMs });
        logger.warn(
          { reason: end.reason, waitMs: backoffMs, reconnects: this.#reconnects },
          'camera reconnect scheduled',
        );
        if (!(await this.#wait(backoffMs))) {
          this.#change({ state: 'ENDED', reason: 'STOPPED', text: `stopped while it was offline: ${end.text}` });
          break;
        }
        this.#reconnects++;
        this.#options.onReconnect();
      }
    } catch (thrown) {
      // The state machine or the epoch store: nothing that a camera did.
      this.#error = toAppError(thrown);
      logger.error({ error: this.#error }, 'camera supervision failed');
      this.#change({ state: 'ENDED', reason: 'UNKNOWN', text: this.#error.message });
    }
    await this.#statuses;
  }

  /** The state that the end of the stream leads to for good; null where another attempt follows. */
  #finalChange(end: StreamEnd): CameraChange | null {
    const { camera } = this.#options;
    const { reason, text } = end;
    if (reason === 'STOPPED' || this.#stop.signal.aborted)
      return { state: 'ENDED', reason: 'STOPPED', text: 'stopped' };
    const isFile = camera.source.kind === 'file';
    if (end.error === null) return isFile || camera.untilEnd ? { state: 'ENDED', reason, text } : null;
    if (isFile || camera.untilEnd || !end.error.retryable) {
      // A file that gave frames and then broke off has ended; one that never was a video is refused.
      return { state: (this.#connection?.firstFrameMs ?? null) === null ? 'REJECTED' : 'ENDED', reason, text };
    }
    return null;
  }

  async #connect(): Promise<{ end: StreamEnd; deliveredMs: number }> {
    const { camera, clock, openSource } = this.#options;
    const startedMs = clock.monotonicMs();
    const connection: Connection = {
      handover: this.#createHandover(),
      watchdog: new StallWatchdog(Math.max(camera.stallTimeoutMs, 3_000 / camera.fps), startedMs),
      health: new PictureHealth(),
      startedMs,
      firstFrameMs: null,
    };
    this.#connection = connection;
    const given = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, given.signal]);
    const over = new AbortController();
    const stalled = this.#watch(connection, AbortSignal.any([signal, over.signal])).then((isStalled) => {
      if (isStalled) given.abort();
      return isStalled;
    });
    const ended = await this.#runSource(openSource(camera), connection, signal);
    over.abort();
    const end = (await stalled) ? this.#stalledEnd(connection) : ended;
    await connection.handover.finish();
    const deliveredMs = connection.firstFrameMs === null ? 0 : clock.monotonicMs() - connection.firstFrameMs;
    return { end, deliveredMs };
  }

  async #runSource(source: FrameSource, connection: Connection, signal: AbortSignal): Promise<StreamEnd> {
    try {
      return await source.run(
        {
          facts: (facts) => {
            this.#facts = facts;
          },
          decodeErrors: (count) => {
            connection.handover.accounting.noteDecodeErrors(count);
            this.#totals.decodeErrors += count;
            this.#options.onDecodeErrors(count);
          },
          frame: (frame) => this.#takeFrame(frame, connection),
        },
        signal,
      );
    } catch (thrown) {
      const error = toAppError(thrown);
      return { reason: reasonOf(error), text: error.message, error };
    }
  }

  #takeFrame(frame: SourceFrame, connection: Connection): Promise<void> | undefined {
    const nowMs = this.#options.clock.monotonicMs();
    const isFirst = connection.firstFrameMs === null;
    connection.firstFrameMs ??= nowMs;
    connection.watchdog.noteFrame(nowMs);
    this.#lastFrame = frame;
    this.#lastFrameMs = nowMs;
    this.#received.note(frame.times.captureTimeUs);
    const luma = { ...frame.image, black: frame.image.isFullRange === true ? 0 : 16 };
    const trouble = connection.health.check(luma, frame.times.ptsUs === null ? nowMs : frame.times.ptsUs / 1000);
    const wait = connection.handover.accept(frame);
    if (isFirst || trouble !== this.#trouble()) this.#change(changeForTrouble(trouble));
    if (wait === undefined) return undefined;
    // While we are the ones who wait, the silence of the source is ours.
    connection.watchdog.pause(nowMs);
    return wait.then(() => connection.watchdog.resume(this.#options.clock.monotonicMs()));
  }

  #trouble(): PictureTrouble {
    const { reason } = this.#state;
    return reason === 'DARK' || reason === 'FROZEN' ? reason : 'NONE';
  }

  /** True when the stream fell silent, false when `signal` was aborted first. */
  async #watch(connection: Connection, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options;
    const pollWhilePausedMs = 1_000;
    while (!signal.aborted) {
      const remainingMs = connection.watchdog.remainingMs(clock.monotonicMs());
      if (remainingMs !== null && remainingMs <= 0) return true;
      try {
        await clock.sleep(remainingMs ?? pollWhilePausedMs, signal);
      } catch {
        return false;
      }
    }
    return false;
  }

  #stalledEnd(connection: Connection): StreamEnd {
    const seconds = Math.round(Math.max(this.#options.camera.stallTimeoutMs, 3_000 / this.#options.camera.fps) / 1000);
    const text =
      connection.firstFrameMs === null
        ? `connected, but no picture could be decoded within ${seconds} s`
        : `no picture for ${seconds} s`;
    const reason = connection.firstFrameMs !== null ? 'STALLED' : this.#facts === null ? 'TIMEOUT' : 'NO_KEYFRAME';
    return { reason, text, error: null };
  }

  #createHandover(): FrameHandover {
    const { camera, publishFrame, pool, clock, isBusTroubled } = this.#options;
    const waits = waitsForReader(camera);
    const handover = new FrameHandover({
      cameraId: camera.id,
      epoch: this.#epoch,
      targetFps: camera.fps,
      crop: camera.crop,
      tags: camera.tags,
      filter: camera.filter === 'auto' ? new FrameFilter() : null,
      waits,
      queueCapacity: waits ? this.#options.fileQueueCapacity : this.#options.queueCapacity,
      maxAgeMs: waits ? null : camera.maxAgeMs,
      pool,
      clock,
      publish: publishFrame,
      onOutcome: (outcome) => this.#count(outcome),
      ...(camera.priority === undefined ? {} : { priority: camera.priority }),
      ...(isBusTroubled === undefined ? {} : { isBusTroubled }),
    });
    if (this.#abandoned !== null) handover.abandon(this.#abandoned);
    return handover;
  }

  #count(outcome: FrameOutcome): void {
    switch (outcome.kind) {
      case 'received':
        this.#totals.received++;
        break;
      case 'filtered':
        this.#totals.filtered++;
        break;
      case 'handed-on':
        this.#totals.handedOn++;
        this.#busTroubled = false;
        break;
      case 'dropped':
        this.#dropped[outcome.reason] = (this.#dropped[outcome.reason] ?? 0) + 1;
        if (outcome.cause !== undefined && !this.#busTroubled) {
          this.#busTroubled = true;
          this.#options.logger.warn({ error: toAppError(outcome.cause) }, 'frames cannot be handed on and are dropped');
        }
        break;
    }
    this.#options.onOutcome(outcome);
  }

  /** Statuses leave one after the other, so that the last one told is the last one that holds. */
  #change(change: CameraChange): void {
    const { clock, logger, publishStatus } = this.#options;
    const status = this.#state.change(change, this.#figures(), clock.nowUs());
    if (status === null) return;
    logger.info(
      { state: status.state, reason: status.reason_code, epoch: status.epoch, text: status.reason_text },
      'camera state',
    );
    this.#statuses = this.#statuses
      .then(() => publishStatus(status))
      .catch((thrown: unknown) =>
        logger.error({ error: toAppError(thrown), state: status.state }, 'camera status could not be published'),
      );
  }

  #figures(): CameraFigures {
    const connection = this.#connection;
    return {
      epoch: this.#epoch,
      frameSeq: connection?.handover.accounting.lastReceivedSeq ?? 0,
      facts: this.#facts,
      measuredFps: this.#received.fps === 0 ? null : this.#received.fps,
      clockSource: this.#lastFrame?.times.captureTimeSource ?? 'UNKNOWN',
      reconnectCount: this.#reconnects,
      lastFrameTimeUs: this.#lastFrame?.times.captureTimeUs ?? null,
      timeToFirstFrameMs: timeToFirstFrame(connection),
    };
  }

  #progress(): number | null {
    const { camera } = this.#options;
    const durationMs = this.#facts?.durationMs ?? null;
    if (camera.source.kind !== 'file' || camera.loop) return null;
    if (this.#state.state === 'ENDED' && this.#state.reason === 'END_OF_STREAM') return 1;
    const ptsUs = this.#lastFrame?.times.ptsUs ?? null;
    return durationMs === null || durationMs <= 0 || ptsUs === null
      ? null
      : Math.min(1, Math.max(0, ptsUs / 1000 / durationMs));
  }

  /** False when stopped before the time was over. */
  async #wait(delayMs: number): Promise<boolean> {
    try {
      await this.#options.clock.sleep(delayMs, this.#stop.signal);
      return true;
    } catch {
      return false;
    }
  }
}

function timeToFirstFrame(connection: Connection | null): number | null {
  const firstFrameMs = connection?.firstFrameMs ?? null;
  return connection === null || firstFrameMs === null ? null : firstFrameMs - connection.startedMs;
}
