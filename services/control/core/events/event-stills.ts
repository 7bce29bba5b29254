import type { LiveFeed } from '../ports.ts';
import type { KeptEvent } from './event.ts';
import { rulesOf } from './event-kinds.ts';

/** Some hundred pictures at the size that the model sees; in memory only, so that no picture of anybody outlives the process. */
const maxBytes = 16 * 1024 * 1024;
/** When a site of hundreds comes up at once, the pictures of the first few say as much as those of all. */
const maxWaiting = 8;
const pictureTimeoutMs = 5_000;

interface Still {
  readonly cameraId: string;
  readonly jpeg: Uint8Array;
}

/** Pictures to events: the next frame of the camera after the event, where one comes soon. */
export class EventStills {
  readonly #live: Pick<LiveFeed, 'nextPicture'>;
  /** Oldest first. */
  readonly #stills = new Map<string, Still>();
  readonly #stopping = new AbortController();
  #bytes = 0;
  #waiting = 0;
  #timesForgotten = 0;

  constructor(live: Pick<LiveFeed, 'nextPicture'>) {
    this.#live = live;
  }

  has(eventId: string): boolean {
    return this.#stills.has(eventId);
  }

  get(eventId: string, cameraId: string): Uint8Array | undefined {
    const still = this.#stills.get(eventId);
    return still?.cameraId === cameraId ? still.jpeg : undefined;
  }

  /** Resolves when the picture is there or will not come; never rejects. */
  async take({ id, kind, cameraId }: KeptEvent): Promise<void> {
    if (cameraId === null || !rulesOf(kind).hasStill || this.#waiting >= maxWaiting) return;
    this.#waiting++;
    try {
      const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(pictureTimeoutMs)]);
      const timesForgotten = this.#timesForgotten;
      const picture = await this.#live.nextPicture(cameraId, signal);
      // One that was under way meanwhile may be what was to be forgotten.
      if (picture !== undefined && timesForgotten === this.#timesForgotten)
        this.#keep(id, { cameraId, jpeg: picture.jpeg });
    } finally {
      this.#waiting--;
    }
  }

  /** Pictures of a camera that was removed, or that has other masks now, are not kept. */
  forget(cameraId: string): void {
    this.#timesForgotten++;
    for (const [id, still] of this.#stills) if (still.cameraId === cameraId) this.#drop(id);
  }

  close(): void {
    this.#stopping.abort();
    this.#stills.clear();
  }

  #keep(id: string, still: Still): void {
    this.#stills.set(id, still);
    this.#bytes += still.jpeg.byteLength;
    for (const oldest of this.#stills.keys()) {
      if (this.#bytes <= maxBytes) break;
      this.#drop(oldest);
    }
  }

  #drop(id: string): void {
    this.#bytes -= this.#stills.get(id)?.jpeg.byteLength ?? 0;
    this.#stills.delete(id);
  }
}
