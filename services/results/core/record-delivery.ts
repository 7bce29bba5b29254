import type { Clock } from '#shared/core/clock';
import { AppError, toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';

/** A record as it goes out. */
export interface EncodedResult {
  readonly topic: string;
  /** Order holds within a key. */
  readonly key: string;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

export interface RecordDeliveryOptions {
  /** Resolves when the broker has the record; rejects with an AppError that says whether to try again. */
  readonly publish: (record: EncodedResult) => Promise<void>;
  /** Accepted and not yet on the broker; beyond this, offer() waits. */
  readonly maxPendingBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What goes in one request of the bus: then all of it arrives or none, and trying again keeps the order. */
const maxChunkBytes = 512 * 1024;
const maxChunkRecords = 1_000;
const firstRetryMs = 100;
const maxRetryMs = 2_000;
/** After a broker's restart its topics may be unknown for a moment; later than this they are gone. */
const missingTopicPatienceMs = 30_000;
/** Key, headers and the frame around them. */
const recordOverheadBytes = 500;

/**
 * Carries accepted records to the broker in order, one chunk at a time, and tries again for as long as that can help: through an outage
 * of any length. A record whose outcome is unknown is sent again, so it may stand there twice, with one message_id.
 */
export class RecordDelivery {
  readonly #options: RecordDeliveryOptions;
  readonly #closing = new AbortController();
  #waiting: EncodedResult[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | undefined;
  #room = Promise.withResolvers<void>();
  #failure: AppError | undefined;
  #lastTrouble: AppError | undefined;
  #delivered = 0;
  #deliveredBytes = 0;
  #refused = 0;

  constructor(options: RecordDeliveryOptions) {
    this.#options = options;
  }

  /** Resolves when the record is accepted. Rejects with the failure that ended the delivery. */
  async offer(record: EncodedResult): Promise<void> {
    while (this.#isOpen() && this.#waitingBytes >= this.#options.maxPendingBytes) await this.#room.promise;
    if (!this.#isOpen()) {
      this.#refused += 1;
      throw this.#failure ?? new AppError('SIGHTLINE_INTERNAL', 'a record was offered after the results were closed');
    }
    this.#waiting.push(record);
    this.#waitingBytes += bytesOf(record);
    this.#running ??= this.#deliverAll();
  }

  /** Counts a record that could not be offered. */
  refuse(): void {
    this.#refused += 1;
  }

  counts(): { readonly delivered: number; readonly deliveredBytes: number; readonly lost: number } {
    const isOver = !this.#isOpen() && this.#running === undefined;
    return {
      delivered: this.#delivered,
      deliveredBytes: this.#deliveredBytes,
      lost: this.#refused + (isOver ? this.#waiting.length : 0),
    };
  }

  /** Resolves when nothing waits any more, however long that takes; rejects with the failure that ended the delivery. */
  async drain(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Gives what waits `timeoutMs` more, then gives it up: rejects with why it could not be delivered. */
  async close(timeoutMs: number): Promise<void> {
    const limit = new AbortController();
    const drained = this.drain();
    const timedOut = this.#options.clock.sleep(timeoutMs, limit.signal).catch(() => undefined);
    try {
      await Promise.race([drained, timedOut]);
    } finally {
      limit.abort();
      this.#closing.abort();
      this.#freeRoom();
    }
    if (this.#waiting.length === 0) return;
    drained.catch(() => undefined); // Told here.
    const trouble = this.#lastTrouble;
    throw new AppError(
      trouble?.code ?? 'SIGHTLINE_KAFKA_UNREACHABLE',
      `${this.#waiting.length} results were not delivered: ${trouble?.message ?? 'no answer'}`,
      { cause: trouble },
    );
  }

  #isOpen(): boolean {
    return this.#failure === undefined && !this.#closing.signal.aborted;
  }

  async #deliverAll(): Promise<void> {
    try {
      let [retryMs, troubleSinceMs] = [firstRetryMs, 0];
      while (this.#waiting.length > 0 && this.#isOpen()) {
        const trouble = await this.#deliverChunk();
        const nowMs = this.#options.clock.monotonicMs();
        if (trouble === undefined) {
          if (this.#lastTrouble !== undefined) {
            this.#options.logger.info({ awayMs: Math.round(nowMs - troubleSinceMs) }, 'Kafka takes results again');
          }
          this.#lastTrouble = undefined;
          retryMs = firstRetryMs;
          continue;
        }
        if (this.#lastTrouble === undefined) {
          troubleSinceMs = nowMs;
          this.#options.logger.warn(
            { code: trouble.code, reason: trouble.message, waiting: this.#waiting.length },
            'Kafka does not take results; trying again',
          );
        }
        this.#lastTrouble = trouble;
        const isGone =
          trouble.code === 'SIGHTLINE_KAFKA_TOPIC_MISSING' && nowMs - troubleSinceMs > missingTopicPatienceMs;
        if (!trouble.retryable || isGone) {
          this.#fail(trouble);
          return;
        }
        await this.#options.clock.sleep(retryMs, this.#closing.signal).catch(() => undefined);
        retryMs = Math.min(2 * retryMs, maxRetryMs);
      }
    } finally {
      this.#running = undefined;
    }
  }

  /** What kept some of it from arriving. That, and what came after it of the same key, is first in the next chunk. */
  async #deliverChunk(): Promise<AppError | undefined> {
    const chunk = this.#nextChunk();
    const outcomes = await Promise.allSettled(chunk.map((record) => this.#options.publish(record)));
    let trouble: AppError | undefined;
    const held = new Set<string>();
    const again: EncodedResult[] = [];
    for (const [index, record] of chunk.entries()) {
      const outcome = outcomes[index];
      const lane = `${record.topic}/${record.key}`;
      if (outcome?.status === 'rejected') {
        const error = toAppError(outcome.reason);
        if (trouble === undefined || !error.retryable) trouble = error;
        held.add(lane);
      }
      if (held.has(lane)) {
        again.push(record);
        continue;
      }
      this.#delivered += 1;
      this.#deliveredBytes += record.value.length;
      this.#waitingBytes -= bytesOf(record);
    }
    this.#waiting.splice(0, chunk.length, ...again);
    if (this.#waitingBytes < this.#options.maxPendingBytes) this.#freeRoom();
    return trouble;
  }

  #nextChunk(): EncodedResult[] {
    let bytes = 0;
    let count = 0;
    for (const record of this.#waiting) {
      bytes += bytesOf(record);
      if (count > 0 && (bytes > maxChunkBytes || count >= maxChunkRecords)) break;
      count += 1;
    }
    return this.#waiting.slice(0, count);
  }

  #fail(error: AppError): void {
    this.#failure = error;
    this.#options.logger.error(
      { code: error.code, reason: error.message, recordsLost: this.#waiting.length },
      'writing results to Kafka failed',
    );
    this.#freeRoom();
  }

  #freeRoom(): void {
    this.#room.resolve();
    this.#room = Promise.withResolvers<void>();
  }
}

function bytesOf(record: EncodedResult): number {
  return record.value.length + recordOverheadBytes;
}
