import { AppError } from '#shared/core/errors';
import type { CommitLane } from './commit-lane.ts';
import type { KafkaTransactions } from './kafka-driver.ts';

/** The transactions that a lane commits with, opened when needed and thrown away after a failure. */
export class PartitionLane {
  readonly commits: CommitLane;
  readonly #openTransactions: (() => Promise<KafkaTransactions>) | undefined;
  #transactions: Promise<KafkaTransactions> | undefined;
  #isClosed = false;

  constructor(openTransactions: (() => Promise<KafkaTransactions>) | undefined, commits: CommitLane) {
    this.#openTransactions = openTransactions;
    this.commits = commits;
  }

  async open(): Promise<KafkaTransactions> {
    if (this.#openTransactions === undefined) throw new AppError('SIGHTLINE_INTERNAL', 'this lane has no transactions');
    // Opened behind its owner's back it would fence the next one, and never be closed.
    if (this.#isClosed)
      throw new AppError('SIGHTLINE_KAFKA_REBALANCED', 'the partition is another owner’s by now', { retryable: true });
    const opening = (this.#transactions ??= this.#openTransactions());
    try {
      return await opening;
    } catch (error) {
      if (this.#transactions === opening) this.#transactions = undefined;
      throw error;
    }
  }

  /** Ends whatever the last attempt left open, by taking its transactional id over. */
  async renew(): Promise<void> {
    await this.#release();
    await this.open();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#release();
  }

  async #release(): Promise<void> {
    const opened = this.#transactions;
    this.#transactions = undefined;
    if (opened === undefined) return;
    const transactions = await opened.catch(() => undefined);
    await transactions?.close();
  }
}
