import type { RecordHeaders } from './serde.ts';

/**
 * What the bus needs of a Kafka client. Two adapters implement it, each the only place that knows its client; everything that our promises
 * rest on (order, buffers, transactions, dead letters, watchdog) stands above this port and is the same for both.
 * Every rejection is an AppError with a SIGHTLINE_KAFKA_* code.
 */
export interface KafkaDriver {
  readonly name: string;
  /**
   * Who owns a transaction. `partition`: one transactional id for each input partition, so that a new owner fences the old one by opening it.
   * `member`: one for each group member, offsets guarded by the group's generation (KIP-447); `openTransactions` ends what dead members left.
   */
  readonly transactionScope: 'partition' | 'member';
  readonly admin: KafkaAdmin;
  /** A producer without transactions: idempotent, acknowledged by all in-sync replicas. */
  openProducer(): Promise<KafkaProducer>;
  /** Fences everybody else who holds `transactionalId` and ends what they left open, before it resolves. */
  openTransactions(transactionalId: string): Promise<KafkaTransactions>;
  /** Ends the open transactions of members of the group that are gone. Only for scope `member`. */
  endOrphanedTransactions(group: string, transactionalIdPrefix: string): Promise<void>;
  /** Resolves with the first assignment made. */
  joinGroup(options: JoinGroupOptions, events: GroupEvents): Promise<GroupMembership>;
  close(): Promise<void>;
}

export interface OutgoingRecord {
  readonly topic: string;
  readonly partition: number;
  readonly key: string;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
}

export interface IncomingRecord {
  readonly offset: bigint;
  /** Null where the record has no key. */
  readonly key: string | null;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
  readonly timestampMs: number;
}

export interface KafkaProducer {
  /** Writes all records; resolves with their offsets in the same order. After a rejection the producer is only good for close(). */
  send(records: readonly OutgoingRecord[]): Promise<readonly bigint[]>;
  close(): Promise<void>;
}

export interface TransactionOffsets {
  readonly topic: string;
  /** Next offset to read, by partition. */
  readonly next: ReadonlyMap<number, bigint>;
  /** GroupMembership.identity as it was when the batch was put together. */
  readonly identity: MemberIdentity;
}

/** Who a member is to the group under one assignment. */
export interface MemberIdentity {
  readonly group: string;
  readonly memberId: string;
  readonly generation: number;
  /** Broker that coordinates the group; -1 where the driver does not need it. */
  readonly coordinatorId: number;
}

export interface KafkaTransactions {
  /** One transaction: the records and the offsets, or neither. After a rejection the outcome may be unknown and this is only good for close(). */
  run(records: readonly OutgoingRecord[], offsets: TransactionOffsets): Promise<readonly bigint[]>;
  close(): Promise<void>;
}

export interface JoinGroupOptions {
  readonly group: string;
  readonly topic: string;
}

export interface FetchedRecords {
  readonly partition: number;
  readonly records: readonly IncomingRecord[];
  /** Where the next fetch starts: beyond the last record also of those that were not for us (markers, aborted ones). */
  readonly nextOffset: bigint;
  /** End of the partition when it was read. */
  readonly highWatermark: bigint;
}

export interface GroupEvents {
  /** Called within the driver's stack on each (re)join, before anything is fetched under it. Partitions wait for start(). */
  assigned(assignment: Assignment, membership: GroupMembership): void;
  records(fetched: FetchedRecords): void;
  /** Everything before `nextOffset` has been read and held nothing for us. */
  passed(partition: number, nextOffset: bigint): void;
  /** The membership is over. */
  failed(error: unknown): void;
}

export interface Assignment {
  readonly partitions: readonly number[];
  /** Changes when the member had been thrown out in between: what it held may since have been another's. */
  readonly memberId: string;
  readonly generation: number;
}

export interface GroupMembership {
  /**
   * Changes with each assignment. A batch is committed as whoever we were when it was put together: under a later identity the broker
   * would take offsets of partitions that are another's by now.
   */
  readonly identity: MemberIdentity;
  /** The group's position of these partitions, after every transaction that could still change it has ended; undefined where there is none. */
  committed(partitions: readonly number[]): Promise<ReadonlyMap<number, bigint | undefined>>;
  /** Fetches the partition from `offset` on; what was fetched of it before is no longer delivered. */
  start(partition: number, offset: bigint): void;
  pause(partition: number): void;
  resume(partition: number): void;
  /** Stores positions outside a transaction, as `identity`; rejects as rebalanced where that is over, and leaves the rejoining to the group. */
  commit(next: ReadonlyMap<number, bigint>, identity: MemberIdentity): Promise<void>;
  /** Leaves the group, so that the others take over at once. */
  close(): Promise<void>;
}

export interface TopicDescription {
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
}

export interface KafkaAdmin {
  /** Undefined where there is no such topic. */
  describeTopic(topic: string): Promise<TopicDescription | undefined>;
  partitionCount(topic: string): Promise<number>;
  /** `exists` where somebody was quicker. */
  createTopic(
    topic: string,
    settings: { partitions: number; replicationFactor: number; config: Readonly<Record<string, string>> },
  ): Promise<'created' | 'exists'>;
  /** First offset that is kept, and the end, by partition. */
  offsets(topic: string): Promise<ReadonlyMap<number, { readonly first: bigint; readonly end: bigint }>>;
  committed(group: string, topic: string): Promise<ReadonlyMap<number, bigint | undefined>>;
}
