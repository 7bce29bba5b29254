import type { Clock } from '#shared/core/clock';
import { AppError } from '#shared/core/errors';
import type { KafkaMessageBus } from './kafka-message-bus.ts';

export interface ReadPositionOptions {
  readonly admin: KafkaMessageBus['admin'];
  readonly clock: Clock;
  /** Of one partition. */
  readonly topicName: string;
}

const readTimeoutMs = 10_000;

/** How far a topic of one partition was read by somebody who follows it, and waiting for that. */
export class ReadPosition {
  readonly #options: ReadPositionOptions;
  readonly #waiting = new Set<{ readonly offset: bigint; readonly resolve: () => void }>();
  #readTo = -1n;

  constructor(options: ReadPositionOptions) {
    this.#options = options;
  }

  /** False for a record that was read before: after trouble the topic is read anew. */
  isNew(offset: bigint): boolean {
    return offset > this.#readTo;
  }

  /** To be called when everything was done that follows from the record. */
  passed(offset: bigint): void {
    if (offset > this.#readTo) this.#readTo = offset;
    for (const wait of this.#waiting) if (offset >= wait.offset) wait.resolve();
  }

  /** Resolves when the record has been read; SIGHTLINE_KAFKA_STALLED (to be tried again) where that takes too long or `stopping` comes first. */
  async whenRead(offset: bigint, stopping: AbortSignal): Promise<void> {
    if (this.#readTo >= offset) return;
    const { clock, topicName } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wait = { offset, resolve };
    this.#waiting.add(wait);
    const limit = new AbortController();
    const late = clock.sleep(readTimeoutMs, AbortSignal.any([limit.signal, stopping])).then(
      () => true,
      () => this.#readTo < offset,
    );
    const isLate = await Promise.race([promise.then(() => false), late]);
    limit.abort();
    this.#waiting.delete(wait);
    if (isLate) throw new AppError('SIGHTLINE_KAFKA_STALLED', `${topicName} cannot be read`, { retryable: true });
  }

  /** Resolves when everything has been read that is on the topic now. */
  async catchUp(stopping: AbortSignal): Promise<void> {
    const { admin, topicName } = this.#options;
    const { first = 0n, end = 0n } = (await admin.offsets(topicName)).get(0) ?? {};
    if (end > first) await this.whenRead(end - 1n, stopping);
  }
}
