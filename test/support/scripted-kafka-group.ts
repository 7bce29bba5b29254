import { AppError } from '../../services/shared/core/errors.ts';
import type {
  GroupEvents,
  GroupMembership,
  IncomingRecord,
  KafkaDriver,
  KafkaTransactions,
} from '../../services/shared/bus/kafka/kafka-driver.ts';
import { defaultKafkaTuning } from '../../services/shared/bus/kafka/kafka-settings.ts';
import { KafkaSubscription } from '../../services/shared/bus/kafka/kafka-subscription.ts';
import { silentLogger } from './kafka-buses.ts';

export const scriptedTuning = { ...defaultKafkaTuning, sessionTimeoutMs: 1_500, transactionLingerMs: 1 };

/** A subscription of the group's one topic, in transactions; it puts nothing out. */
export function subscriptionTo(
  group: ScriptedGroup,
  prepare: (partitions: readonly number[]) => Promise<void> = () => Promise.resolve(),
): KafkaSubscription {
  return new KafkaSubscription({
    driver: group.driver,
    tuning: scriptedTuning,
    logger: silentLogger,
    topic: 'numbers',
    group: 'workers',
    maxInFlight: 8,
    maxInFlightPerKey: 8,
    commit: 'transactions',
    reached: 'committed',
    prepare,
    handle: () => Promise.resolve([]),
    write: () => Promise.resolve(),
    wrote: () => undefined,
  });
}

/** The records of offsets `from` to before `to`. */
export function records(from: number, to: number): IncomingRecord[] {
  return Array.from({ length: to - from }, (_, index) => ({
    offset: BigInt(from + index),
    key: 'camera',
    value: Buffer.alloc(1),
    headers: {},
    timestampMs: 0,
  }));
}

/** A consumer group of one partition without a broker: the test says what the group and the transactions do. */
export class ScriptedGroup {
  /** What the next transactions end with, first things first; after them all succeed. */
  readonly answers: AppError[] = [];
  /** Positions that transactions have committed. */
  readonly committed: bigint[] = [];
  /** Positions that fetching was started at. */
  readonly started: bigint[] = [];
  /** The group's position. */
  position = 0n;
  /** Why nobody can join at the moment. */
  away: AppError | undefined;
  /** Times that a transactional id was opened. */
  opened = 0;
  #events: GroupEvents | undefined;
  readonly driver: KafkaDriver;

  constructor() {
    const missing = (): never => {
      throw new AppError('SIGHTLINE_INTERNAL', 'not a part of this script');
    };
    this.driver = {
      name: 'scripted',
      transactionScope: 'partition',
      admin: {
        describeTopic: missing,
        partitionCount: missing,
        createTopic: missing,
        offsets: missing,
        committed: missing,
      },
      openProducer: missing,
      openTransactions: () => {
        this.opened += 1;
        return Promise.resolve(this.#transactions());
      },
      endOrphanedTransactions: () => Promise.resolve(),
      joinGroup: (_, events) => {
        if (this.away !== undefined) return Promise.reject(this.away);
        this.#events = events;
        return Promise.resolve(this.#membership('', 0));
      },
      close: () => Promise.resolve(),
    };
  }

  assign(partitions: readonly number[], memberId: string, generation: number): void {
    this.#events?.assigned({ partitions, memberId, generation }, this.#membership(memberId, generation));
  }

  /** The client has given up its membership. */
  breakOff(error: AppError): void {
    this.#events?.failed(error);
  }

  fetched(partition: number, fetched: readonly IncomingRecord[]): void {
    const nextOffset = (fetched.at(-1)?.offset ?? -1n) + 1n;
    this.#events?.records({ partition, records: fetched, nextOffset, highWatermark: nextOffset });
  }

  #transactions(): KafkaTransactions {
    return {
      run: (outputs, { next }) => {
        const error = this.answers.shift();
        if (error !== undefined) return Promise.reject(error);
        for (const offset of next.values()) {
          this.committed.push(offset);
          this.position = offset;
        }
        return Promise.resolve(outputs.map(() => 0n));
      },
      close: () => Promise.resolve(),
    };
  }

  #membership(memberId: string, generation: number): GroupMembership {
    return {
      identity: { group: 'workers', memberId, generation, coordinatorId: -1 },
      committed: (partitions) => Promise.resolve(new Map(partitions.map((partition) => [partition, this.position]))),
      start: (_, offset) => {
        this.started.push(offset);
      },
      pause: () => undefined,
      resume: () => undefined,
      commit: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  }
}
