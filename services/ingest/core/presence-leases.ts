import type { IngestPresence } from '../../../schemas/index.ts';
import type { Clock } from '#shared/core/clock';
import { AppError } from '#shared/core/errors';
import type { LeaseStore } from './ports.ts';

export interface PresenceLeasesOptions {
  /** Writes to the one-partition topic that all ingests read; resolves with the record's offset. */
  readonly publish: (presence: IngestPresence) => Promise<number>;
  readonly version: string;
  readonly clock: Clock;
}

interface Member {
  cameras: ReadonlySet<string>;
  heardMs: number;
}

/** The topic that takes longer than this share of a lease to take and give back our word keeps those of others back too. */
const slowShare = 0.3;
/** How long we wait to read what we have just written. */
const echoTimeoutMs = 5_000;

/**
 * Leases by what the ingests tell each other on a topic: each says some times in a lease that it lives and which cameras it has, and takes
 * none that another one has. Two that take a camera in the same moment are told apart by their epochs, as always.
 */
export class PresenceLeases implements LeaseStore {
  readonly #options: PresenceLeasesOptions;
  readonly #others = new Map<string, Member>();
  readonly #held = new Set<string>();
  #readTo = -1;
  /** Words of ours that have not been read back. */
  readonly #echoes = new Set<{ readonly offset: number; readonly resolve: () => void }>();
  #owner: string | null = null;
  #ttlMs = 0;
  #isTroubled = false;

  constructor(options: PresenceLeasesOptions) {
    this.#options = options;
  }

  /** A record of the topic was read; `ageMs` is how long ago it was written. */
  heard(presence: IngestPresence, offset: number, ageMs: number): void {
    const { instance_id: id } = presence;
    if (id !== this.#owner) {
      const heardMs = this.#options.clock.monotonicMs() - Math.max(0, ageMs);
      if (presence.is_leaving) this.#others.delete(id);
      else this.#others.set(id, { cameras: new Set(presence.cameras), heardMs });
    }
    this.#readTo = offset;
    for (const echo of this.#echoes) if (offset >= echo.offset) echo.resolve();
  }

  async announce(owner: string, ttlMs: number): Promise<readonly string[]> {
    this.#owner = owner;
    this.#ttlMs = ttlMs;
    const { clock } = this.#options;
    const begunMs = clock.monotonicMs();
    try {
      await this.#tell(owner, false);
    } catch (error) {
      this.#isTroubled = true;
      throw error;
    }
    // A broker that moves to another machine does not answer for seconds, to none of us.
    if (clock.monotonicMs() - begunMs >= ttlMs * slowShare) this.#isTroubled = true;
    if (this.#isTroubled) {
      // Nobody could be heard either: all get a lease's time to speak again.
      for (const member of this.#others.values()) member.heardMs = clock.monotonicMs();
      this.#isTroubled = false;
    }
    return [owner, ...this.#living().keys()];
  }

  acquire(name: string): Promise<boolean> {
    const isTaken = [...this.#living().values()].some(({ cameras }) => cameras.has(name));
    // One that is ours stays ours: who of two is right is told by the claims.
    if (isTaken && !this.#held.has(name)) return Promise.resolve(false);
    this.#held.add(name);
    return Promise.resolve(true);
  }

  async release(name: string, owner: string): Promise<void> {
    if (this.#held.delete(name)) await this.#tell(owner, false);
  }

  async leave(owner: string): Promise<void> {
    this.#held.clear();
    await this.#tell(owner, true);
  }

  untilLapseMs(): number | null {
    const heardMs = [...this.#others.values()].map((member) => member.heardMs);
    if (heardMs.length === 0) return null;
    return Math.max(0, Math.min(...heardMs) + this.#ttlMs - this.#options.clock.monotonicMs());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #living(): Map<string, Member> {
    const oldestMs = this.#options.clock.monotonicMs() - this.#ttlMs;
    for (const [id, member] of this.#others) if (member.heardMs <= oldestMs) this.#others.delete(id);
    return this.#others;
  }

  /** Resolves when what was told has been read back: everything that others told before it is then known. */
  async #tell(owner: string, isLeaving: boolean): Promise<void> {
    const { publish, clock, version } = this.#options;
    const cameras = [...this.#held];
    const offset = await publish({ instance_id: owner, time: clock.nowUs(), is_leaving: isLeaving, cameras, version });
    if (isLeaving || this.#readTo >= offset) return;
    const read = Promise.withResolvers<void>();
    const echo = { offset, resolve: read.resolve };
    this.#echoes.add(echo);
    const limit = new AbortController();
    const late = clock.sleep(echoTimeoutMs, limit.signal).then(
      () => 'late' as const,
      () => 'read' as const,
    );
    const outcome = await Promise.race([read.promise, late]);
    limit.abort();
    this.#echoes.delete(echo);
    if (outcome === 'late') {
      throw new AppError('SIGHTLINE_KAFKA_STALLED', 'what the ingests tell each other cannot be read', {
        retryable: true,
      });
    }
  }
}
