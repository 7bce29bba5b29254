import type { FollowedRecord } from '#shared/bus/kafka/follow-topic';
import { toAppError } from '#shared/core/errors';
import type { SampledFrame } from '#shared/core/frame';
import type { Logger } from '#shared/core/logger';
import type { LiveHub } from '../../core/live-hub.ts';

export interface FramePicturesOptions {
  readonly hub: Pick<LiveHub, 'wantedPictures' | 'wantsPicture' | 'addPicture'>;
  /** Partition of the frames topic that a camera's frames are on. */
  readonly partitionOf: (cameraId: string) => Promise<number>;
  /** Reads one partition from its end on until the signal; never rejects. `wants` says whose frames are decoded. */
  readonly follow: (
    partition: number,
    wants: (cameraId: string) => boolean,
    onFrame: (record: FollowedRecord<SampledFrame>) => void,
    signal: AbortSignal,
  ) => Promise<void>;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

interface Followed {
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  wantedMs: number;
}

/** A page that is turned over looks at the next camera in a moment; after this nobody does. */
const lingerMs = 5_000;

/**
 * Pictures for those who look, out of the frames topic: only partitions with a camera that somebody looks at are read, and only its frames
 * are decoded. What cannot be helped: the broker sends a partition whole, with the frames of the other cameras on it.
 */
export class FramePictures {
  readonly #options: FramePicturesOptions;
  readonly #followed = new Map<number, Followed>();
  #isClosed = false;

  constructor(options: FramePicturesOptions) {
    this.#options = options;
  }

  /** Begins and ends reading by who looks now. Called often; cheap where nothing changed. */
  async look(): Promise<void> {
    const { hub, partitionOf, nowMs, logger } = this.#options;
    for (const cameraId of hub.wantedPictures()) {
      try {
        const partition = await partitionOf(cameraId);
        if (this.#isClosed) return;
        const followed = this.#followed.get(partition);
        if (followed === undefined) this.#begin(partition);
        else followed.wantedMs = nowMs();
      } catch (thrown) {
        // Looked at again with the next look.
        logger.debug({ camera: cameraId, reason: toAppError(thrown).message }, 'no pictures of a camera now');
      }
    }
    for (const [partition, { stop, wantedMs }] of this.#followed) {
      if (nowMs() - wantedMs <= lingerMs) continue;
      stop.abort();
      this.#followed.delete(partition);
    }
  }

  /** Partitions that are being read. */
  get partitions(): readonly number[] {
    return [...this.#followed.keys()];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { stop } of this.#followed.values()) stop.abort();
    await Promise.all([...this.#followed.values()].map(({ ended }) => ended));
    this.#followed.clear();
  }

  #begin(partition: number): void {
    const { hub, follow, nowMs } = this.#options;
    const stop = new AbortController();
    const ended = follow(
      partition,
      (cameraId) => hub.wantsPicture(cameraId),
      ({ value: frame }) => {
        if (frame?.image?.format === 'jpeg') hub.addPicture(frame, frame.image.data);
      },
      stop.signal,
    );
    this.#followed.set(partition, { stop, ended, wantedMs: nowMs() });
  }
}
