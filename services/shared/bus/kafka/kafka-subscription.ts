import { AppError, toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { Subscription } from '../message-bus.ts';
import { CommitLane, type CommitBatch } from './commit-lane.ts';
import type { Assignment, FetchedRecords, GroupMembership, KafkaDriver, OutgoingRecord } from './kafka-driver.ts';
import type { KafkaTuning } from './kafka-settings.ts';
import { KeyTurns } from './key-turns.ts';
import { PartitionLane } from './partition-lane.ts';
import { PartitionLedger, type LedgerEntry } from './partition-ledger.ts';
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
  readonly #lanes = new Map<PartitionLedger, PartitionLane>();
  readonly #turns: KeyTurns;
  readonly #openLanes = new Set<PartitionLane>();
  #memberLane: PartitionLane | undefined;
  #membership: GroupMembership | undefined;
  #memberId: string | undefined;
  #generation: number | undefined;
  #inFlight = 0;
  #stopped = false;
  #rejectFailed: (reason: unknown) => void = () => undefined;
  #idleWaiters: (() => void)[] = [];
  #closing: Promise<void> | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  readonly #stalls: StallClock;
  #lastProgress = { mark: '', atMs: 0 };

  constructor(options: KafkaSubscriptionOptions) {
    this.#options = options;
    this.#turns = new KeyTurns(options.maxInFlightPerKey);
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
    await this.#join();
    this.#lastProgress = { mark: '', atMs: performance.now() };
    this.#watchdog = setInterval(() => void this.#watch(), this.#options.tuning.stallTimeoutMs / 4); // #watch never rejects
    this.#watchdog.unref();
  }

  async #join(): Promise<void> {
    const { driver, group, topic, tuning, logger } = this.#options;
    const deadlineMs = performance.now() + tuning.joinTimeoutMs;
    let waitMs = 10;
    for (;;) {
      try {
        await driver.joinGroup(
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
        return;
      } catch (thrown) {
        const error = toAppError(thrown);
        if (!error.retryable || this.#stopped || performance.now() > deadlineMs) throw error;
        logger.warn({ err: error, waitMs, group, topic }, 'the group could not be joined, trying again');
        await new Promise<void>((resolve) => setTimeout(resolve, waitMs));
        waitMs = Math.min(waitMs * 2, 1_000);
      }
    }
  }

  /** The client has given up. What it held is dropped; a new member starts from what is committed, fencing the old one as any other would. */
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
    this.#join().catch((error_: unknown) => this.#fail(error_));
  }

  /** Lets go of everything that was held under a membership that is over. */
  #reset(): void {
    for (const ledger of [...this.#ledgers.values()]) this.#drop(ledger);
    const lane = this.#memberLane;
    this.#memberLane = undefined;
    if (lane === undefined) return;
    lane.commits.close();
    this.#openLanes.delete(lane);
    void lane.close().catch(() => undefined); // nothing depends on how it ends
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
    clearInterval(this.#watchdog);
    this.#stalls.stop();
    this.#turns.dropWaiting(() => true);
    for (const ledger of this.#ledgers.values()) this.#membership?.pause(ledger.partition);
    if (this.#inFlight > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    // What is finished is committed before the others may take over: leaving first would make them do it again.
    await Promise.all([...this.#openLanes].map((lane) => lane.commits.drain(tuning.closeTimeoutMs)));
    for (const lane of this.#openLanes) lane.commits.close();
    await settleAll(
      [() => this.#membership?.close(), ...[...this.#openLanes].map((lane) => () => lane.close())],
      (error) => {
        this.#options.logger.warn(
          { err: error, group: this.#options.group },
          'a part of a subscription did not close cleanly',
        );
      },
    );
  }

  #fail(thrown: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#watchdog);
    this.#stalls.stop();
    this.#turns.dropWaiting(() => true);
    // Nothing may be committed after the failure, and the others shall not wait for our session to end.
    for (const ledger of this.#ledgers.values()) ledger.dropped = true;
    for (const lane of this.#openLanes) lane.commits.close();
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
    const lanes = this.#assignLanes(gained);
    for (const lane of this.#openLanes) lane.commits.reassigned();
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

  #assignLanes(gained: readonly PartitionLedger[]): Map<PartitionLane, PartitionLedger[]> {
    const lanes = new Map<PartitionLane, PartitionLedger[]>();
    const perPartition =
      this.#options.commit === 'transactions' && this.#options.driver.transactionScope === 'partition';
    for (const ledger of gained) {
      let lane: PartitionLane;
      if (perPartition) lane = this.#createLane(`.${String(ledger.partition)}`);
      else lane = this.#memberLane ??= this.#createLane('');
      lane.commits.add(ledger);
      this.#lanes.set(ledger, lane);
      lanes.set(lane, [...(lanes.get(lane) ?? []), ledger]);
    }
    return lanes;
  }

  #createLane(suffix: string): PartitionLane {
    const { tuning, logger } = this.#options;
    const transactional = this.#options.commit === 'transactions';
    const lane: PartitionLane = new PartitionLane(
      transactional ? () => this.#options.driver.openTransactions(this.#transactionalId(suffix)) : undefined,
      new CommitLane({
        graceMs: tuning.sessionTimeoutMs,
        lingerMs: transactional ? tuning.transactionLingerMs : tuning.commitIntervalMs,
        maxRecords: tuning.maxTransactionRecords,
        maxBytes: tuning.maxTransactionBytes,
        logger,
        commit: (batch) => this.#commit(lane, batch),
        recover: (ledgers) => this.#recover(lane, ledgers),
        committed: (batch) => {
          for (const { ledger } of batch.parts) queueMicrotask(() => this.#resume(ledger));
        },
        mustYield: () => this.#sleptAndReplaced('fenced'),
        fatal: (error) => this.#fail(error),
      }),
    );
    this.#openLanes.add(lane);
    return lane;
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

  /** One for each partition, or one for this process: see KafkaDriver.transactionScope. */
  #transactionalId(suffix: string): string {
    const { group, topic, driver } = this.#options;
    return driver.transactionScope === 'partition'
      ? `${group}.${topic}${suffix}`
      : `${this.#transactionalPrefix()}${this.#memberId ?? ''}`;
  }

  #transactionalPrefix(): string {
    return `${this.#options.group}.${this.#options.topic}/`;
  }

  #drop(ledger: PartitionLedger): void {
    ledger.dropped = true;
    this.#ledgers.delete(ledger.partition);
    this.#turns.dropWaiting((entry) => entry.ledger === ledger);
    const lane = this.#lanes.get(ledger);
    this.#lanes.delete(ledger);
    if (lane === undefined) return;
    lane.commits.remove(ledger);
    if (lane === this.#memberLane) return;
    lane.commits.close();
    this.#openLanes.delete(lane);
    void lane.close().catch(() => undefined); // the partition is another's; nothing depends on how this ends
  }

  /** Fences the former owners, then reads where they came to: the other way round would miss what they were just committing. */
  async #startPartitions(
    lane: PartitionLane,
    ledgers: readonly PartitionLedger[],
    membership: GroupMembership,
  ): Promise<void> {
    const { driver, group, logger, tuning } = this.#options;
    let waitMs = 10;
    for (;;) {
      const wanted = ledgers.filter((ledger) => !ledger.dropped);
      if (wanted.length === 0 || this.#stopped) return;
      try {
        if (this.#options.commit === 'transactions') {
          await lane.open();
          if (driver.transactionScope === 'member')
            await driver.endOrphanedTransactions(group, this.#transactionalPrefix());
        }
        await this.#startAtCommitted(wanted, membership);
        return;
      } catch (thrown) {
        const error = toAppError(thrown);
        if (error.code === 'SIGHTLINE_KAFKA_REBALANCED') return; // the next assignment starts what is still ours
        if (!error.retryable) {
          this.#fail(error);
          return;
        }
        logger.warn({ err: error, waitMs, group }, 'partitions could not be started, trying again');
        await new Promise<void>((resolve) => setTimeout(resolve, waitMs));
        waitMs = Math.min(waitMs * 2, tuning.sessionTimeoutMs / 6);
      }
    }
  }

  async #startAtCommitted(ledgers: readonly PartitionLedger[], membership: GroupMembership): Promise<void> {
    const committed = await membership.committed(ledgers.map((ledger) => ledger.partition));
    const isNew = ledgers.some((ledger) => committed.get(ledger.partition) === undefined);
    const ends = isNew ? await this.#options.driver.admin.offsets(this.#options.topic) : undefined;
    for (const ledger of ledgers) {
      if (ledger.dropped || this.#stopped) continue;
      const offset = committed.get(ledger.partition) ?? ends?.get(ledger.partition)?.first ?? 0n;
      ledger.start(offset);
      membership.start(ledger.partition, offset);
    }
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
      this.#lanes.get(entry.ledger)?.commits.touch();
    } catch (error) {
      if (!entry.ledger.dropped) this.#fail(error);
    } finally {
      this.#turns.ended(entry);
      this.#inFlight -= 1;
      if (this.#inFlight === 0) for (const wake of this.#idleWaiters.splice(0)) wake();
      this.#dispatch();
    }
  }

  async #commit(lane: PartitionLane, batch: CommitBatch): Promise<void> {
    const membership = this.#membership;
    const identity = membership?.identity;
    if (membership === undefined || identity === undefined)
      throw new AppError('SIGHTLINE_KAFKA_REBALANCED', 'no assignment yet', { retryable: true });
    const next = new Map(batch.parts.map((part) => [part.ledger.partition, part.next]));
    if (this.#options.commit === 'transactions') {
      const transactions = await lane.open();
      const offsets = await transactions.run(batch.outputs, { topic: this.#options.topic, next, identity });
      this.#options.wrote(batch.outputs, offsets);
      return;
    }
    if (batch.outputs.length > 0) await this.#options.write(batch.outputs);
    await membership.commit(next);
  }

  async #recover(lane: PartitionLane, ledgers: readonly PartitionLedger[]): Promise<void> {
    if (this.#options.commit !== 'transactions') return;
    await lane.renew();
    const started = ledgers.filter((ledger) => ledger.started && !ledger.dropped);
    const committed = await this.#membership?.committed(started.map((ledger) => ledger.partition));
    for (const ledger of started) {
      const offset = committed?.get(ledger.partition);
      if (offset !== undefined && offset > ledger.committed) ledger.settle(offset);
      this.#resume(ledger);
    }
  }

  /** Clients have been seen to stop without a word; only work that waits and does not move shows it. */
  async #watch(): Promise<void> {
    const { tuning, driver, topic, group } = this.#options;
    const mark = [...this.#ledgers.values()]
      .map((ledger) => `${String(ledger.partition)}:${String(ledger.handled)}:${String(ledger.committed)}`)
      .join();
    const nowMs = performance.now();
    if (mark !== this.#lastProgress.mark || mark === '') {
      this.#lastProgress = { mark, atMs: nowMs };
      return;
    }
    if (nowMs - this.#lastProgress.atMs < tuning.stallTimeoutMs) return;
    const ends = await driver.admin.offsets(topic).catch(() => undefined);
    if (this.#stopped) return;
    const waiting = [...this.#ledgers.values()].filter(
      (ledger) => ledger.committed < (ends?.get(ledger.partition)?.end ?? 0n),
    );
    if (waiting.length === 0) {
      // Nothing to do, or Kafka itself is away: both are no fault of this member.
      this.#lastProgress = { mark, atMs: nowMs };
      return;
    }
    const partitions = waiting.map((ledger) => String(ledger.partition)).join(', ');
    const words = `${group} has not moved on ${topic} [${partitions}] for ${String(tuning.stallTimeoutMs)} ms though records wait`;
    this.#fail(new AppError('SIGHTLINE_KAFKA_STALLED', words, { retryable: true }));
  }
}

async function settleAll(
  steps: readonly (() => Promise<void> | undefined)[],
  report: (error: unknown) => void,
): Promise<void> {
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      report(error);
    }
  }
}
