import type { Clock } from '#shared/core/clock';
import { toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { CameraSpec } from './camera-spec.ts';
import { placeCameras } from './place-cameras.ts';
import type { LeaseStore } from './ports.ts';

/** A camera that runs here. */
export interface RunningCamera {
  /** Resolves when it ended by itself: a file was read to its end, or the camera was refused for good. */
  readonly ended: Promise<void>;
  /** Hands on what was taken, tells its end and stops. May be called twice. */
  stop(): Promise<void>;
  /** Another ingest has it: stops at once and tells nothing more of it. */
  giveUp(): Promise<void>;
}

export interface CameraKeeperOptions {
  readonly leases: LeaseStore;
  readonly owner: string;
  readonly leaseMs: number;
  readonly maxCameras: number;
  readonly startCamera: (camera: CameraSpec) => RunningCamera;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often each tells in a lease that it lives: one that stood still for four fifths of it is not missed. */
const roundsPerLease = 5;
/** Between two rounds, whatever there is to wait for. */
const leastPauseMs = 50;

interface Kept {
  readonly camera: CameraSpec;
  readonly running: RunningCamera;
  /** Its end is under way; the lease stays ours until it is over. */
  stopping: Promise<void> | null;
}

/**
 * Keeps running here the cameras that are this ingest's share. A lease that another one has stops the camera; a lease store that does not
 * answer stops nothing, for then nobody can take the cameras over, and should somebody, the newer claim says so (`claimed`).
 */
export class CameraKeeper {
  readonly #options: CameraKeeperOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #stopping = new AbortController();
  #wanted: ReadonlyMap<string, CameraSpec> = new Map();
  /** Ended by themselves as they are registered now; tried again when the registration changes. */
  readonly #done = new Map<string, CameraSpec>();
  #running: Promise<void> | null = null;
  #plan = { of: this.#wanted, key: '', owners: new Map<string, string>() as ReadonlyMap<string, string> };
  #trouble: string | undefined;

  constructor(options: CameraKeeperOptions) {
    this.#options = options;
  }

  /** Why cameras are not shared out at the moment; undefined where they are. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  get cameras(): readonly string[] {
    return [...this.#kept.keys()];
  }

  /** All cameras that shall run somewhere. */
  want(cameras: readonly CameraSpec[]): void {
    this.#wanted = new Map(cameras.map((camera) => [camera.id, camera]));
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Another ingest has claimed the camera. */
  claimedElsewhere(cameraId: string): void {
    const kept = this.#kept.get(cameraId);
    if (kept?.stopping !== null) return;
    this.#options.logger.warn({ camera: cameraId }, 'another ingest has claimed the camera, giving it up');
    kept.stopping = kept.running.giveUp().finally(() => this.#kept.delete(cameraId));
  }

  /** Stops all cameras, then gives their leases back, so that the others take them at once. */
  async stop(): Promise<void> {
    const { leases, owner, logger } = this.#options;
    this.#stopping.abort();
    await this.#running;
    await Promise.all([...this.#kept.values()].map((kept) => this.#end(kept)));
    try {
      await leases.leave(owner);
    } catch (error) {
      logger.warn({ reason: toAppError(error).message }, 'leases are left to run out');
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#stopping.signal.aborted) {
      await this.#round();
      await clock.sleep(this.#untilNextRoundMs(), this.#stopping.signal).catch(() => undefined);
    }
  }

  /** Some times in a lease, so that words of ours may be late; at once where another ingest comes to count as gone: its cameras are waiting. */
  #untilNextRoundMs(): number {
    const { leases, leaseMs } = this.#options;
    const usualMs = leaseMs / roundsPerLease;
    const lapseMs = this.#trouble === undefined ? leases.untilLapseMs() : null;
    return lapseMs === null ? usualMs : Math.min(usualMs, Math.max(leastPauseMs, Math.ceil(lapseMs)));
  }

  /** Made anew only where the cameras or the owners are others: it takes a hash for each pair of them. */
  #planFor(owners: readonly string[]): ReadonlyMap<string, string> {
    const key = owners.toSorted().join('\n');
    if (this.#plan.key !== key || this.#plan.of !== this.#wanted) {
      this.#plan = { of: this.#wanted, key, owners: placeCameras([...this.#wanted.keys()], owners) };
    }
    return this.#plan.owners;
  }

  async #round(): Promise<void> {
    const { leases, owner, leaseMs, maxCameras, logger } = this.#options;
    try {
      const owners = await leases.announce(owner, leaseMs);
      const plan = this.#planFor(owners);
      for (const kept of this.#kept.values()) {
        const { id } = kept.camera;
        const isOurs = this.#wanted.get(id) === kept.camera && plan.get(id) === owner;
        if (!isOurs) this.#begin(kept);
        else if (!(await leases.acquire(id, owner, leaseMs))) this.claimedElsewhere(id);
      }
      for (const [id, camera] of this.#wanted) {
        if (plan.get(id) !== owner || this.#kept.has(id) || this.#done.get(id) === camera) continue;
        if (this.#kept.size >= maxCameras) break;
        if (await leases.acquire(id, owner, leaseMs)) this.#take(camera);
      }
      if (this.#trouble !== undefined) logger.info({}, 'leases work again');
      this.#trouble = undefined;
    } catch (thrown) {
      const error = toAppError(thrown);
      if (this.#trouble === undefined)
        logger.warn({ code: error.code, reason: error.message }, 'leases do not work: cameras stay where they are');
      this.#trouble = error.message;
    }
  }

  #take(camera: CameraSpec): void {
    const { logger, startCamera } = this.#options;
    logger.info({ camera: camera.id }, 'taking the camera');
    const kept: Kept = { camera, running: startCamera(camera), stopping: null };
    this.#kept.set(camera.id, kept);
    void kept.running.ended.then(() => {
      if (kept.stopping !== null || this.#stopping.signal.aborted) return;
      this.#done.set(camera.id, camera);
      this.#begin(kept);
    });
  }

  /** Its end goes on beside the rounds. */
  #begin(kept: Kept): void {
    void this.#end(kept); // never rejects
  }

  #end(kept: Kept): Promise<void> {
    const { leases, owner, logger } = this.#options;
    const { id } = kept.camera;
    kept.stopping ??= (async () => {
      try {
        await kept.running.stop();
        await leases.release(id, owner);
      } catch (error) {
        logger.warn({ camera: id, reason: toAppError(error).message }, 'the camera was not handed over cleanly');
      } finally {
        this.#kept.delete(id);
      }
    })();
    return kept.stopping;
  }
}
