import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { CommitLane, type CommitBatch } from './commit-lane.ts';
import type { GroupMembership, KafkaDriver, OutgoingRecord } from './kafka-driver.ts';
import type { KafkaTuning } from './kafka-settings.ts';
import { PartitionLane } from './partition-lane.ts';
import type { PartitionLedger } from './partition-ledger.ts';

export interface CommitLanesOptions {
  readonly driver: KafkaDriver;
  readonly tuning: KafkaTuning;
  readonly logger: Logger;
  readonly topic: string;
  readonly group: string;
  /** `transactions`: outputs and position together. `positions`: outputs first, then the position; a crash in between repeats them. */
  readonly commit: 'transactions' | 'positions';
  /** Who we are to the group now. */
  membership(): GroupMembership | undefined;
  /** Writes outside a transaction. */
  write(records: readonly OutgoingRecord[]): Promise<void>;
  /** These offsets of ours have been written in a transaction. */
  wrote(records: readonly OutgoingRecord[], offsets: readonly bigint[]): void;
  /** Records of this partition have been committed, so there is room for more. */
  settled(ledger: PartitionLedger): void;
  mustYield(): AppError | undefined;
  fatal(error: AppError): void;
}

/** The lanes that a group member commits by: one for each partition where that is the scope of a transaction, else one for all. */
export class CommitLanes {
  readonly #options: CommitLanesOptions;
  readonly #ofLedger = new Map<PartitionLedger, PartitionLane>();
  readonly #open = new Set<PartitionLane>();
  #memberLane: PartitionLane | undefined;

  constructor(options: CommitLanesOptions) {
    this.#options = options;
  }

  /** Gives each of them a lane; with those that share one. */
  add(ledgers: readonly PartitionLedger[]): Map<PartitionLane, PartitionLedger[]> {
    const lanes = new Map<PartitionLane, PartitionLedger[]>();
    const { commit, driver } = this.#options;
    const isPerPartition = commit === 'transactions' && driver.transactionScope === 'partition';
    for (const ledger of ledgers) {
      const lane = isPerPartition
        ? this.#create(`.${String(ledger.partition)}`)
        : (this.#memberLane ??= this.#create(''));
      lane.commits.add(ledger);
      this.#ofLedger.set(ledger, lane);
      lanes.set(lane, [...(lanes.get(lane) ?? []), ledger]);
    }
    return lanes;
  }

  /** The partition is another's. */
  remove(ledger: PartitionLedger): void {
    const lane = this.#ofLedger.get(ledger);
    this.#ofLedger.delete(ledger);
    if (lane === undefined) return;
    lane.commits.remove(ledger);
    if (lane !== this.#memberLane) this.#abandon(lane);
  }

  /** The member is another one from now on, under another transactional id. */
  forgetMember(): void {
    const lane = this.#memberLane;
    this.#memberLane = undefined;
    if (lane !== undefined) this.#abandon(lane);
  }

  /** A new assignment is in force. */
  reassigned(): void {
    for (const lane of this.#open) lane.commits.reassigned();
  }

  /** Something of this partition has been finished. */
  touch(ledger: PartitionLedger): void {
    this.#ofLedger.get(ledger)?.commits.touch();
  }

  /** Fences the former owners of the lane's partitions and ends what they left open. */
  async takeOver(lane: PartitionLane): Promise<void> {
    const { driver, commit, group } = this.#options;
    if (commit !== 'transactions') return;
    await lane.open();
    if (driver.transactionScope === 'member') await driver.endOrphanedTransactions(group, this.#memberPrefix());
  }

  /** Commits what is finished, then nothing more. */
  async drain(deadlineMs: number): Promise<void> {
    await Promise.all([...this.#open].map((lane) => lane.commits.drain(deadlineMs)));
    this.stop();
  }

  /** Commits nothing more. */
  stop(): void {
    for (const lane of this.#open) lane.commits.close();
  }

  /** What has to be closed, each by itself. */
  closings(): (() => Promise<void>)[] {
    return [...this.#open].map((lane) => () => lane.close());
  }

  #abandon(lane: PartitionLane): void {
    lane.commits.close();
    this.#open.delete(lane);
    void lane.close().catch(() => undefined); // what it had is another's; nothing depends on how this ends
  }

  #create(suffix: string): PartitionLane {
    const { tuning, logger, commit, driver } = this.#options;
    const isTransactional = commit === 'transactions';
    const lane: PartitionLane = new PartitionLane(
      isTransactional ? () => driver.openTransactions(this.#transactionalId(suffix)) : undefined,
      new CommitLane({
        // A member that dies in the middle of a rebalance is missed after a session, and the rebalance that follows has its own time.
        assignmentTimeoutMs: tuning.sessionTimeoutMs + tuning.rebalanceTimeoutMs,
        fencedTimeoutMs: tuning.sessionTimeoutMs,
        spacingMs: isTransactional ? tuning.transactionSpacingMs : 0,
        catchUp: isTransactional
          ? {
              spacingMs: tuning.catchUpSpacingMs,
              behindRecords: tuning.maxBufferedRecordsPerPartition / 2,
              togetherRecords: tuning.maxBufferedRecordsPerPartition / 4,
            }
          : null,
        lingerMs: isTransactional ? tuning.transactionLingerMs : tuning.commitIntervalMs,
        maxRecords: tuning.maxTransactionRecords,
        maxBytes: tuning.maxTransactionBytes,
        logger,
        commit: (batch) => this.#commit(lane, batch),
        recover: (ledgers) => this.#recover(lane, ledgers),
        committed: (batch) => {
          for (const { ledger } of batch.parts) queueMicrotask(() => this.#options.settled(ledger));
        },
        mustYield: () => this.#options.mustYield(),
        fatal: (error) => this.#options.fatal(error),
      }),
    );
    this.#open.add(lane);
    return lane;
  }

  async #commit(lane: PartitionLane, { parts, outputs }: CommitBatch): Promise<void> {
    const { topic, commit } = this.#options;
    const membership = this.#options.membership();
    if (membership === undefined)
      throw new AppError('SIGHTLINE_KAFKA_REBALANCED', 'no assignment yet', { retryable: true });
    const { identity } = membership;
    const next = new Map(parts.map((part) => [part.ledger.partition, part.next]));
    if (commit === 'transactions') {
      const transactions = await lane.open();
      const offsets = await transactions.run(outputs, { topic, next, identity });
      this.#options.wrote(outputs, offsets);
      return;
    }
    if (outputs.length > 0) await this.#options.write(outputs);
    await membership.commit(next, identity);
  }

  async #recover(lane: PartitionLane, ledgers: readonly PartitionLedger[]): Promise<void> {
    if (this.#options.commit !== 'transactions') return;
    await lane.renew();
    const started = ledgers.filter((ledger) => ledger.started && !ledger.dropped);
    const committed = await this.#options.membership()?.committed(started.map((ledger) => ledger.partition));
    for (const ledger of started) {
      const offset = committed?.get(ledger.partition);
      if (offset !== undefined && offset > ledger.committed) ledger.settle(offset);
      this.#options.settled(ledger);
    }
  }

  /** One for each partition, or one for this process: see KafkaDriver.transactionScope. */
  #transactionalId(suffix: string): string {
    const { group, topic, driver } = this.#options;
    return driver.transactionScope === 'partition'
      ? `${group}.${topic}${suffix}`
      : `${this.#memberPrefix()}${this.#options.membership()?.identity.memberId ?? ''}`;
  }

  #memberPrefix(): string {
    return `${this.#options.group}.${this.#options.topic}/`;
  }
}
