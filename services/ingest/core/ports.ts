import type { ReasonCode } from '#schemas';
import type { AppError } from '#shared/core/errors';
import type { FrameTimes, Yuv420Image } from '#shared/core/frame';
import type { CameraSpec } from './camera-spec.ts';

export type { EpochStore } from '#shared/core/epoch-store';

/** What a stream says of itself. Comes once it is known, and again when it changes. */
export interface StreamFacts {
  readonly codec: string | null;
  readonly widthPx: number | null;
  readonly heightPx: number | null;
  readonly declaredFps: number | null;
  /** Length of a file; null for what has no end. */
  readonly durationMs: number | null;
}

export interface SourceFrame {
  readonly times: FrameTimes;
  readonly sourceWidthPx: number;
  readonly sourceHeightPx: number;
  /** The sink owns it from here on. */
  readonly image: Yuv420Image;
}

/** Where a source pushes to. The calls are in order and never overlap. */
export interface FrameSink {
  facts(facts: StreamFacts): void;
  /** Pictures that the decoder found damaged since the last call. */
  decodeErrors(count: number): void;
  /** A promise back means: wait with the next frame until it resolves. A live source that waits loses nothing but time at its end. */
  frame(frame: SourceFrame): Promise<void> | undefined;
}

/** How a stream ended. */
export interface StreamEnd {
  readonly reason: ReasonCode;
  /** In words, without a secret. */
  readonly text: string;
  /** Set where it is a failure; END_OF_STREAM and STOPPED are none. `retryable` says whether to connect again. */
  readonly error: AppError | null;
}

/** One camera or file as a stream of sampled frames at inference size. */
export interface FrameSource {
  /**
   * Connects, pushes frames until the stream ends, fails or `signal` is aborted, and resolves when everything of it is gone (no process,
   * no socket). Never rejects for what a camera or file can do. Used once.
   */
  run(sink: FrameSink, signal: AbortSignal): Promise<StreamEnd>;
}

/**
 * Who keeps which camera. Leases spread the cameras over the ingests and are no more than advice: the epoch decides whose frames count.
 * Rejections are retryable AppErrors: the store is away.
 */
export interface LeaseStore {
  /** Tells that this owner lives for another `ttlMs`; resolves with all who do, itself included. */
  announce(owner: string, ttlMs: number): Promise<readonly string[]>;
  /** True where the lease is the owner's for `ttlMs` from now: free before, or its own. */
  acquire(name: string, owner: string, ttlMs: number): Promise<boolean>;
  /** Frees the lease where it is the owner's. */
  release(name: string, owner: string): Promise<void>;
  /** Milliseconds until the first of the other owners counts as gone if it is not heard of before; null where there is no other. */
  untilLapseMs(): number | null;
  /** The owner is gone: it takes no more cameras. */
  leave(owner: string): Promise<void>;
  close(): Promise<void>;
}

export type OpenFrameSource = (camera: CameraSpec) => FrameSource;
