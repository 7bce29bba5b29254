import { describe, expect, test } from 'vitest';
import { CameraKeeper } from '../../../services/ingest/core/camera-keeper.ts';
import { createCameraSpec } from '../../../services/ingest/core/camera-spec.ts';
import { PresenceLeases } from '../../../services/ingest/core/presence-leases.ts';
import { ManualClock, silentLogger } from '../../support/ingest-doubles.ts';

const cameras = Array.from({ length: 8 }, (_, index) =>
  createCameraSpec({ id: `camera-${String(index)}`, url: `/clips/${String(index)}.mp4` }),
);
const [leaseMs, frozenMs, stepMs] = [2_500, 4_000, 50];

/** An ingest with a clock and an inbox of its own, both of which stand still with its process. */
interface Ingest {
  readonly clock: ManualClock;
  readonly keeper: CameraKeeper;
  readonly leases: PresenceLeases;
  /** Of the cameras that it has. */
  readonly epochs: Map<string, number>;
  isFrozen: boolean;
  readonly inbox: (() => void)[];
}

/** Ingests that share cameras by their topics: of presence, and of claims, by which a camera is told to be another's. */
class Installation {
  /** What happened to cameras, as `OWNER starts CAMERA`. */
  readonly events: string[] = [];
  readonly #ingests: Ingest[] = [];
  #nowMs = 0;
  #presences = 0;
  #claims = 0;

  start(owner: string): Ingest {
    const clock = new ManualClock();
    const epochs = new Map<string, number>();
    const leases = new PresenceLeases({
      publish: (presence) => {
        const [offset, atMs] = [this.#presences++, this.#nowMs];
        for (const reader of this.#ingests)
          tell(reader, () => reader.leases.heard(presence, offset, this.#nowMs - atMs));
        return Promise.resolve(offset);
      },
      version: '0',
      clock,
    });
    const keeper = new CameraKeeper({
      ...{ leases, owner, leaseMs, clock, logger: silentLogger, maxCameras: 100 },
      startCamera: ({ id }) => {
        this.events.push(`${owner} starts ${id}`);
        const epoch = this.#claims++;
        epochs.set(id, epoch);
        for (const reader of this.#ingests) {
          tell(reader, () => {
            if (epoch > (reader.epochs.get(id) ?? Infinity)) reader.keeper.claimedElsewhere(id);
          });
        }
        const end = (): Promise<void> => {
          epochs.delete(id);
          return Promise.resolve();
        };
        return { ended: new Promise(() => undefined), stop: end, giveUp: end };
      },
    });
    const ingest = { clock, keeper, leases, epochs, isFrozen: false, inbox: [] };
    this.#ingests.push(ingest);
    keeper.want(cameras);
    keeper.start();
    return ingest;
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.#nowMs += stepMs;
      for (const { clock, isFrozen } of this.#ingests) if (!isFrozen) await clock.advance(stepMs);
    }
  }

  /** Stops the process for a while. It wakes to what its timers or its sockets have for it, as it happens. */
  async freeze(ingest: Ingest, wakesTo: 'timers' | 'records'): Promise<void> {
    ingest.isFrozen = true;
    await this.pass(frozenMs);
    ingest.isFrozen = false;
    ingest.clock.jump(frozenMs);
    if (wakesTo === 'timers') await ingest.clock.advance(0);
    for (let take = ingest.inbox.shift(); take !== undefined; take = ingest.inbox.shift()) take();
  }

  async stop(): Promise<void> {
    for (const { keeper } of this.#ingests) await keeper.stop();
  }
}

/** Topics are read in order: what is new comes after what waits. */
function tell(reader: Ingest, word: () => void): void {
  if (reader.isFrozen || reader.inbox.length > 0) reader.inbox.push(word);
  else word();
}

describe('an ingest that stands still for longer than its lease', () => {
  test.each(['timers', 'records'] as const)(
    'gets its cameras back once, and then all stay where they are (%s come first when it wakes)',
    async (wakesTo) => {
      const installation = new Installation();
      const [one, two] = [installation.start('one'), installation.start('two')];
      await installation.pass(4 * leaseMs);
      expect([one.keeper.cameras.length, two.keeper.cameras.length]).toEqual([4, 4]);
      const share = [...two.keeper.cameras];
      for (let time = 0; time < 3; time += 1) {
        installation.events.length = 0;
        await installation.freeze(two, wakesTo);
        await installation.pass(20 * leaseMs);
        expect(installation.events.toSorted()).toEqual(
          share.flatMap((id) => [`one starts ${id}`, `two starts ${id}`]).toSorted(),
        );
        expect(two.keeper.cameras.toSorted()).toEqual(share.toSorted());
      }
      await installation.stop();
    },
  );
});
