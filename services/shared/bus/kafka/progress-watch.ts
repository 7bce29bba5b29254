import { AppError } from '#shared/core/errors';
import type { KafkaAdmin } from './kafka-driver.ts';
import type { PartitionLedger } from './partition-ledger.ts';

export interface ProgressWatchOptions {
  readonly admin: KafkaAdmin;
  readonly topic: string;
  readonly group: string;
  readonly stallTimeoutMs: number;
  ledgers(): Iterable<PartitionLedger>;
  stalled(error: AppError): void;
}

/** Clients have been seen to stop without a word; only work that waits and does not move shows it. */
export class ProgressWatch {
  readonly #options: ProgressWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #last = { mark: '', atMs: performance.now() };
  #isStopped = false;

  constructor(options: ProgressWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#look(), options.stallTimeoutMs / 4); // #look never rejects
    this.#timer.unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { admin, topic, group, stallTimeoutMs } = this.#options;
    const ledgers = [...this.#options.ledgers()];
    const mark = ledgers
      .map(({ partition, handled, committed }) => `${String(partition)}:${String(handled)}:${String(committed)}`)
      .join();
    const nowMs = performance.now();
    if (mark !== this.#last.mark || mark === '') {
      this.#last = { mark, atMs: nowMs };
      return;
    }
    if (nowMs - this.#last.atMs < stallTimeoutMs) return;
    const ends = await admin.offsets(topic).catch(() => undefined);
    if (this.#isStopped) return;
    const waiting = ledgers.filter((ledger) => ledger.committed < (ends?.get(ledger.partition)?.end ?? 0n));
    if (waiting.length === 0) {
      // Nothing to do, or Kafka itself is away: both are no fault of this member.
      this.#last = { mark, atMs: nowMs };
      return;
    }
    const partitions = waiting.map((ledger) => String(ledger.partition)).join(', ');
    const words = `${group} has not moved on ${topic} [${partitions}] for ${String(stallTimeoutMs)} ms though records wait`;
    this.#options.stalled(new AppError('SIGHTLINE_KAFKA_STALLED', words, { retryable: true }));
  }
}
