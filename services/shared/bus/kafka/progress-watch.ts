import { AppError } from '#shared/core/errors';
import type { KafkaAdmin } from './kafka-driver.ts';
import type { PartitionLedger } from './partition-ledger.ts';

export interface ProgressWatchOptions {
  readonly admin: KafkaAdmin;
  readonly topic: string;
  readonly group: string;
  readonly stallTimeoutMs: number;
  ledgers(): Iterable<PartitionLedger>;
  /** What is in the way, as far as it is known. */
  trouble(): string | undefined;
  stalled(error: AppError): void;
}

/** Clients have been seen to stop without a word; only work that waits and does not move shows it. */
export class ProgressWatch {
  readonly #options: ProgressWatchOptions;
  readonly #timer: NodeJS.Timeout;
  /** What was handled and committed at the last look. */
  #mark = '';
  /** Since when nothing moves though Kafka answers and has records for us. */
  #stillSinceMs: number | undefined;
  #isLooking = false;
  #isStopped = false;

  constructor(options: ProgressWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#look(), options.stallTimeoutMs / 4); // never rejects
    this.#timer.unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    // Kafka may take longer to answer than we wait between two looks.
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#compare();
    } finally {
      this.#isLooking = false;
    }
  }

  async #compare(): Promise<void> {
    const { admin, topic, group, stallTimeoutMs } = this.#options;
    const ledgers = [...this.#options.ledgers()];
    const mark = ledgers
      .map(({ partition, handled, committed }) => `${String(partition)}:${String(handled)}:${String(committed)}`)
      .join();
    const hasMoved = mark !== this.#mark;
    this.#mark = mark;
    // Kafka is asked only where nothing has moved.
    const ends = hasMoved || mark === '' ? undefined : await admin.offsets(topic).catch(() => undefined);
    if (this.#isStopped) return;
    const waiting = ledgers.filter((ledger) => ledger.committed < (ends?.get(ledger.partition)?.end ?? 0n));
    if (waiting.length === 0) {
      // It moves, or has nothing to do, or Kafka itself is away: all are no fault of this member. An outage does not count as standing still, however long it
      // was: what waits at its end has only just become work that can be done.
      this.#stillSinceMs = undefined;
      return;
    }
    const nowMs = performance.now();
    this.#stillSinceMs ??= nowMs;
    if (nowMs - this.#stillSinceMs < stallTimeoutMs) return;
    const partitions = waiting.map((ledger) => String(ledger.partition)).join(', ');
    const trouble = this.#options.trouble();
    const why = trouble === undefined ? '' : `: ${trouble}`;
    const words = `${group} has not moved on ${topic} [${partitions}] for ${String(stallTimeoutMs)} ms though records wait${why}`;
    this.#options.stalled(new AppError('SIGHTLINE_KAFKA_STALLED', words, { retryable: true }));
  }
}
