import type { CameraClaim, IngestPresence } from '#schemas';
import type { CameraPlacement } from './ports.ts';

export interface PlacementsOptions {
  /** An ingest that was not heard of for so long is taken for dead, by the other ingests and here. */
  readonly leaseMs: number;
  readonly nowMs: () => number;
}

/** An ingest that lives. */
export interface PresentIngest {
  readonly instanceId: string;
  readonly version: string;
  readonly cameras: ReadonlySet<string>;
  readonly silentMs: number;
}

interface Member {
  readonly version: string;
  readonly cameras: ReadonlySet<string>;
  heardMs: number;
}

interface Claim {
  readonly instanceId: string;
  readonly epoch: number;
  readonly timeUs: number;
}

/** Which ingest has which camera, by what the ingests write for each other: claims say who may, presence says who lives and does. */
export class Placements {
  readonly #options: PlacementsOptions;
  readonly #members = new Map<string, Member>();
  readonly #claims = new Map<string, Claim>();

  constructor(options: PlacementsOptions) {
    this.#options = options;
  }

  heard({ instance_id: id, version, cameras, is_leaving: isLeaving }: IngestPresence, ageMs: number): void {
    if (isLeaving) this.#members.delete(id);
    else this.#members.set(id, { version, cameras: new Set(cameras), heardMs: this.#nowMs() - Math.max(0, ageMs) });
  }

  claimed({ camera_id: id, time, producer }: CameraClaim, epoch: number): void {
    this.#claims.set(id, { instanceId: producer.instance_id, epoch, timeUs: time });
  }

  forget(cameraId: string): void {
    this.#claims.delete(cameraId);
  }

  /** Nobody could be heard: all get a lease's time to speak again before they are taken for dead. */
  excuse(): void {
    for (const member of this.#members.values()) member.heardMs = this.#nowMs();
  }

  ingests(): readonly PresentIngest[] {
    const nowMs = this.#nowMs();
    return [...this.#living()].map(([instanceId, { version, cameras, heardMs }]) => ({
      ...{ instanceId, version, cameras, silentMs: Math.max(0, Math.round(nowMs - heardMs)) },
    }));
  }

  /** Whether an ingest that lives says that it has the camera. */
  isAttended(cameraId: string): boolean {
    return [...this.#living().values()].some(({ cameras }) => cameras.has(cameraId));
  }

  /** By the newest claim; null where the camera was never taken by any. */
  of(cameraId: string): CameraPlacement | null {
    const claim = this.#claims.get(cameraId);
    if (claim === undefined) return null;
    const owner = this.#living().get(claim.instanceId);
    return {
      ingest: claim.instanceId,
      epoch: claim.epoch,
      claimed_at: new Date(claim.timeUs / 1000).toISOString(),
      is_attended: owner?.cameras.has(cameraId) === true,
      heard_s_ago: owner === undefined ? null : Math.max(0, Math.round((this.#nowMs() - owner.heardMs) / 100) / 10),
    };
  }

  #nowMs(): number {
    return this.#options.nowMs();
  }

  #living(): Map<string, Member> {
    const oldestMs = this.#nowMs() - this.#options.leaseMs;
    for (const [id, member] of this.#members) if (member.heardMs < oldestMs) this.#members.delete(id);
    return this.#members;
  }
}
