import { closeAll } from '#shared/core/close-all';
import { AppError, toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { Subscription } from '../message-bus.ts';
import { CommitLanes } from './commit-lanes.ts';
import type { Assignment, FetchedRecords, GroupMembership, KafkaDriver, OutgoingRecord } from './kafka-driver.ts';
import type { KafkaTuning } from './kafka-settings.ts';
import { KeyTurns } from './key-turns.ts';
import type { PartitionLane } from './partition-lane.ts';
import { PartitionLedger, type LedgerEntry } from './partition-ledger.ts';
import { ProgressWatch } from './progress-watch.ts';
import { StallClock } from './stall-clock.ts';

export interface KafkaSubscriptionOptions {
  readonly driver: KafkaDriver;
  readonly tuning: KafkaTuning;
  readonly logger: Logger;
  readonly topic: string;
  readonly group: string;
  readonly maxInFlight: number;
  readonly maxInFlightPerKey: number;
  /** `transactions`: outputs and position together. `positions`: outputs first, then the position; a crash in between repeats them. */
  readonly commit: 'transactions' | 'positions';
  /** A position counts as reached when the record is committed, or already when it is handled. */
  readonly reached: 'committed' | 'handled';
  /** What has to be known of partitions before they are handled: see ProcessOptions. */
  prepare(partitions: readonly number[]): Promise<void>;
  /** Handles one record; a rejection ends the subscription. */
  handle(entry: LedgerEntry): Promise<readonly OutgoingRecord[]>;
  /** Writes outside a transaction. */
  write(records: readonly OutgoingRecord[]): Promise<void>;
  /** These offsets of ours have been written in a transaction. */
  wrote(records: readonly OutgoingRecord[], offsets: readonly bigint[]): void;
}

/** How far behind a subscription is in one partition. */
export interface PartitionLag {
  readonly topic: string;
  readonly group: string;
  readonly partition: number;
  /** Records, as the last fetch knew. */
  readonly lag: number;
  /** Age of the oldest record that waits in this process, by its timestamp; 0 where none does. */
  readonly oldestAgeMs: number;
}

/** A member of a consumer group with everything between fetch and commit. */
export class KafkaSubscription implements Subscription {
  readonly failed: Promise<never>;
  readonly #options: KafkaSubscriptionOptions;
  readonly #ledgers = new Map<number, PartitionLedger>();
  readonly #lanes: CommitLanes;
  readonly #turns: KeyTurns;
  #membership: GroupMembership | undefined;
  #memberId: string | undefined;
  #generation: number | undefined;
  #inFlight = 0;
  #stopped = false;
  #rejectFailed: (reason: unknown) => void = () => undefined;
  #idleWaiters: (() => void)[] = [];
  #closing: Promise<void> | undefined;
  #watch: ProgressWatch | undefined;
  #trouble: string | undefined;
  /** Why partitions could not be started at the last attempt. */
  #startTrouble: string | undefined;
  readonly #stalls: StallClock;

  constructor(options: KafkaSubscriptionOptions) {
    this.#options = options;
    this.#turns = new KeyTurns(options.maxInFlightPerKey);
    this.#lanes = new CommitLanes({
      ...options,
      membership: () => this.#membership,
      settled: (ledger) => this.#resume(ledger),
      mustYield: () => this.#sleptAndReplaced('fenced'),
      fatal: (error) => this.#fail(error),
    });
    const { sessionTimeoutMs, rebalanceTimeoutMs } = options.tuning;
    this.#stalls = new StallClock(sessionTimeoutMs, sessionTimeoutMs + rebalanceTimeoutMs);
    this.failed = new Promise<never>((_, reject) => {
      this.#rejectFailed = reject;
    });
    // Whoever cares awaits `failed`; a subscription that nobody watches must not end the process by an unhandled rejection.
    this.failed.catch(() => undefined);
  }

  /** Resolves when the member has its first assignment. */
  async open(): Promise<void> {
    await this.#join(performance.now() + this.#options.tuning.joinTimeoutMs);
    const { driver, tuning, topic, group } = this.#options;
    this.#watch = new ProgressWatch({
      admin: driver.admin,
      topic,
      group,
      stallTimeoutMs: tuning.stallTimeoutMs,
      ledgers: () => this.#ledgers.values(),
      trouble: () => this.#startTrouble,
      stalled: (error) => this.#fail(error),
    });
  }

  async #join(deadlineMs: number): Promise<void> {
    const { driver, group, topic, logger } = this.#options;
    let waitMs = 10;
    for (;;) {
      try {
        const membership = await driver.joinGroup(
          { group, topic },
          {
            assigned: (assignment, membership) => this.#assigned(assignment, membership),
            records: (fetched) => this.#fetched(fetched),
            passed: (partition, nextOffset) => {
              this.#ledgers.get(partition)?.pass(nextOffset);
            },
            failed: (error) => this.#lostClient(error),
          },
        );
        this.#trouble = undefined;
        if (this.#stopped) await membership.close();
        return;
      } catch (thrown) {
        const error = toAppError(thrown);
        this.#trouble = error.message;
        if (!error.retryable || this.#stopped || performance.now() > deadlineMs) throw error;
        logger.warn({ err: error, waitMs, group, topic }, 'the group could not be joined, trying again');
        await new Promise<void>((resolve) => setTimeout(resolve, waitMs));
        waitMs = Math.min(waitMs * 2, 1_000);
      }
    }
  }

  /**
   * The client has given up. What it held is dropped; a new member starts from what is committed, fencing the old one as any other would. That
   * is tried for as long as Kafka is away: what worked before will work again, and a process that ends cannot do more.
   */
  #lostClient(thrown: unknown): void {
    const error = toAppError(thrown);
    if (this.#stopped) return;
    if (!error.retryable) {
      this.#fail(error);
      return;
    }
    this.#options.logger.warn({ err: error, group: this.#options.group }, 'the consumer broke off, joining anew');
    this.#reset();
    this.#memberId = undefined;
    this.#generation = undefined;
    this.#membership = undefined;
    this.#trouble = error.message;
    this.#join(Infinity).catch((error_: unknown) => this.#fail(error_));
  }

  /** Lets go of everything that was held under a membership that is over. */
  #reset(): void {
    for (const ledger of [...this.#ledgers.values()]) this.#drop(ledger);
    this.#lanes.forgetMember();
  }

  /** Why this member has no partitions, or cannot begin with those that it was given; undefined while all is well. */
  get trouble(): string | undefined {
    return this.#trouble ?? this.#startTrouble;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  get topic(): string {
    return this.#options.topic;
  }

  get group(): string {
    return this.#options.group;
  }

  /** Everything before the returned offset is done with, by this member; undefined where the partition is not (yet) ours. */
  reached(partition: number): bigint | undefined {
    const ledger = this.#ledgers.get(partition);
    if (ledger?.started !== true) return undefined;
    return this.#options.reached === 'committed' ? ledger.committed : ledger.handled;
  }

  lag(nowMs: number): PartitionLag[] {
    return [...this.#ledgers.values()].map((ledger) => ({
      topic: this.#options.topic,
      group: this.#options.group,
      partition: ledger.partition,
      lag: ledger.lag,
      oldestAgeMs: ledger.oldestTimestampMs === undefined ? 0 : Math.max(0, nowMs - ledger.oldestTimestampMs),
    }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { tuning } = this.#options;
    this.#stopped = true;
    this.#watch?.stop();
    this.#stalls.stop();
    this.#turns.dropWaiting(() => true);
    for (const ledger of this.#ledgers.values()) this.#membership?.pause(ledger.partition);
    if (this.#inFlight > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    // What is finished is committed before the others may take over: leaving first would make them do it again.
    await this.#lanes.drain(tuning.closeTimeoutMs);
    await closeAll([() => this.#membership?.close(), ...this.#lanes.closings()]).catch((error: unknown) => {
      this.#options.logger.warn({ err: error, group: this.#options.group }, 'a subscription did not close cleanly');
    });
  }

  #fail(thrown: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#watch?.stop();
    this.#stalls.stop();
    this.#turns.dropWaiting(() => true);
    // Nothing may be committed after the failure, and the others shall not wait for our session to end.
    for (const ledger of this.#ledgers.values()) ledger.dropped = true;
    this.#lanes.stop();
    this.#rejectFailed(thrown);
    void this.#membership?.close().catch(() => undefined); // reported already
  }

  #assigned(assignment: Assignment, membership: GroupMembership): void {
    if (this.#stopped) return;
    this.#membership = membership;
    const isOtherMember = this.#memberId !== undefined && this.#memberId !== assignment.memberId;
    const replaced = isOtherMember ? this.#sleptAndReplaced('thrown out') : undefined;
    if (replaced !== undefined) {
      this.#fail(replaced);
      return;
    }
    // The broker forgot us, by a restart or an outage; or the group was shared out without us in between. What we held may since have been
    // another's, so we start what we are given as any new owner does.
    if (isOtherMember || (this.#generation !== undefined && assignment.generation > this.#generation + 1)) {
      this.#options.logger.warn(
        { group: this.#options.group },
        'an assignment has passed this member by, starting its partitions anew',
      );
      this.#reset();
    }
    this.#generation = assignment.generation;
    this.#memberId = assignment.memberId;
    for (const ledger of [...this.#ledgers.values()]) {
      // One that was still starting starts anew: its start may have been cut off by this rebalance.
      if (!assignment.partitions.includes(ledger.partition) || !ledger.started) this.#drop(ledger);
    }
    const gained: PartitionLedger[] = [];
    for (const partition of assignment.partitions) {
      const known = this.#ledgers.get(partition);
      if (known === undefined) {
        const ledger = new PartitionLedger(partition);
        this.#ledgers.set(partition, ledger);
        gained.push(ledger);
      } else {
        // Still ours: nobody else can have had it in between, so what is under way goes on.
        known.paused = false;
        membership.start(partition, known.next);
      }
    }
    const lanes = this.#lanes.add(gained);
    this.#lanes.reassigned();
    this.#options.logger.info(
      {
        group: this.#options.group,
        topic: this.#options.topic,
        partitions: assignment.partitions,
        gained: gained.length,
      },
      'partitions assigned',
    );
    for (const [lane, ledgers] of lanes) {
      void this.#startPartitions(lane, ledgers, membership); // never rejects: failures end the subscription
    }
  }

  /**
   * Whatever else a process holds that stood still for a session (leases, connections, clocks) is as stale as its partitions: a fresh start
   * clears it all. Fencing the owner that came after it would be safe, but would only hold that one up.
   */
  #sleptAndReplaced(what: string): AppError | undefined {
    if (!this.#stalls.sleptRecently()) return undefined;
    const words = `member ${this.#memberId ?? ''} of ${this.#options.group} was ${what} after this process had stood still`;
    return new AppError('SIGHTLINE_KAFKA_MEMBERSHIP_LOST', words, { retryable: true });
  }

  #drop(ledger: PartitionLedger): void {
    ledger.dropped = true;
    this.#ledgers.delete(ledger.partition);
    this.#turns.dropWaiting((entry) => entry.ledger === ledger);
    this.#lanes.remove(ledger);
  }

  /** Fences the former owners, then reads where they came to: the other way round would miss what they were just committing. */
  async #startPartitions(
    lane: PartitionLane,
    ledgers: readonly PartitionLedger[],
    membership: GroupMembership,
  ): Promise<void> {
    const { group, logger, tuning } = this.#options;
    let waitMs = 10;
    try {
      for (;;) {
        const wanted = ledgers.filter((ledger) => !ledger.dropped);
        if (wanted.length === 0 || this.#stopped) return;
        try {
          await this.#lanes.takeOver(lane);
          await this.#startAtCommitted(wanted, membership);
          return;
        } catch (thrown) {
          const error = toAppError(thrown);
          if (error.code === 'SIGHTLINE_KAFKA_REBALANCED') return; // the next assignment starts what is still ours
          if (!error.retryable) {
            this.#fail(error);
            return;
          }
          this.#startTrouble = error.message;
          logger.warn({ err: error, waitMs, group }, 'partitions could not be started, trying again');
          await new Promise<void>((resolve) => setTimeout(resolve, waitMs));
          waitMs = Math.min(waitMs * 2, tuning.sessionTimeoutMs / 6);
        }
      }
    } finally {
      this.#startTrouble = undefined;
    }
  }

  async #startAtCommitted(ledgers: readonly PartitionLedger[], membership: GroupMembership): Promise<void> {
    const committed = await membership.committed(ledgers.map((ledger) => ledger.partition));
    await this.#options.prepare(ledgers.map((ledger) => ledger.partition));
    const isNew = ledgers.some((ledger) => committed.get(ledger.partition) === undefined);
    const ends = isNew ? await this.#options.driver.admin.offsets(this.#options.topic) : undefined;
    /** Offset that each begins at. */
    const positions: Record<number, number> = {};
    for (const ledger of ledgers) {
      if (ledger.dropped || this.#stopped) continue;
      const offset = committed.get(ledger.partition) ?? ends?.get(ledger.partition)?.first ?? 0n;
      ledger.start(offset);
      membership.start(ledger.partition, offset);
      positions[ledger.partition] = Number(offset);
    }
    const { group, topic, logger } = this.#options;
    logger.info({ group, topic, positions }, 'partitions started');
  }

  #fetched({ partition, records, nextOffset, highWatermark }: FetchedRecords): void {
    const ledger = this.#ledgers.get(partition);
    if (this.#stopped || ledger?.started !== true) return;
    ledger.highWatermark = highWatermark;
    for (const entry of ledger.take(records, nextOffset)) this.#turns.add(entry);
    const { maxBufferedRecordsPerPartition, maxBufferedBytesPerPartition } = this.#options.tuning;
    if (!ledger.paused && ledger.isFull(maxBufferedRecordsPerPartition, maxBufferedBytesPerPartition)) {
      ledger.paused = true;
      this.#membership?.pause(partition);
    }
    this.#dispatch();
  }

  #resume(ledger: PartitionLedger): void {
    const { maxBufferedRecordsPerPartition, maxBufferedBytesPerPartition } = this.#options.tuning;
    if (!ledger.paused || ledger.dropped || this.#stopped) return;
    // Half empty: early enough that the next records are here before the rest is done.
    if (ledger.isFull(maxBufferedRecordsPerPartition / 2, maxBufferedBytesPerPartition / 2)) return;
    ledger.paused = false;
    this.#membership?.resume(ledger.partition);
  }

  #dispatch(): void {
    while (!this.#stopped && this.#inFlight < this.#options.maxInFlight) {
      const entry = this.#turns.next();
      if (entry === undefined) return;
      void this.#handle(entry); // never rejects: an error ends the subscription
    }
  }

  async #handle(entry: LedgerEntry): Promise<void> {
    this.#inFlight += 1;
    try {
      entry.outputs = await this.#options.handle(entry);
      entry.done = true;
      this.#lanes.touch(entry.ledger);
    } catch (error) {
      if (!entry.ledger.dropped) this.#fail(error);
    } finally {
      this.#turns.ended(entry);
      this.#inFlight -= 1;
      if (this.#inFlight === 0) for (const wake of this.#idleWaiters.splice(0)) wake();
      this.#dispatch();
    }
  }
}
