import { AppError, toAppError } from '#shared/core/errors';
import type { KafkaDriver, KafkaProducer, OutgoingRecord } from './kafka-driver.ts';
import type { KafkaTuning } from './kafka-settings.ts';

interface Waiting {
  readonly record: OutgoingRecord;
  readonly bytes: number;
  readonly deadlineMs: number;
  readonly resolve: (offset: bigint) => void;
  readonly reject: (error: AppError) => void;
}

/**
 * Writes single records in batches: what is published while a batch is on its way goes with the next one, and where many publish, a batch
 * begins some time after the one before, for a request costs more than the records in it. One batch at a time keeps the order; a failed
 * batch costs its own records only, and its producer, whose state is then unknown.
 */
export class Publisher {
  readonly #driver: KafkaDriver;
  readonly #tuning: KafkaTuning;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #producer: KafkaProducer | undefined;
  #running: Promise<void> | undefined;
  #closed = false;
  /** When the latest batch began. */
  #begunMs = -Infinity;
  #isGathering = false;
  #wake: (() => void) | undefined;

  constructor(driver: KafkaDriver, tuning: KafkaTuning) {
    this.#driver = driver;
    this.#tuning = tuning;
  }

  /** Resolves with the record's offset once all in-sync replicas have it. Rejects within publishTimeoutMs and a request's time. */
  publish(record: OutgoingRecord): Promise<bigint> {
    const bytes = (record.value?.length ?? 0) + 200;
    if (bytes > this.#tuning.maxRecordBytes) {
      const words = `${String(bytes)} bytes for ${record.topic}, at most ${String(this.#tuning.maxRecordBytes)}`;
      return Promise.reject(new AppError('SIGHTLINE_KAFKA_RECORD_TOO_LARGE', words));
    }
    if (this.#waitingBytes + bytes > this.#tuning.maxPendingPublishBytes) {
      const words = `${String(this.#waitingBytes)} bytes wait for the broker`;
      return Promise.reject(new AppError('SIGHTLINE_KAFKA_OVERLOADED', words, { retryable: true }));
    }
    return new Promise<bigint>((resolve, reject) => {
      const deadlineMs = performance.now() + this.#tuning.publishTimeoutMs;
      this.#waiting.push({ record, bytes, deadlineMs, resolve, reject });
      this.#waitingBytes += bytes;
      if (this.#isGathering && this.#waitingBytes >= this.#tuning.maxPublishBatchBytes) this.#wake?.();
      this.#start();
    });
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Opens the producer, so that the first record finds it ready and a wrong setting shows at the start. */
  async open(): Promise<void> {
    this.#producer ??= await this.#driver.openProducer();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake?.();
    await this.#running;
    const producer = this.#producer;
    this.#producer = undefined;
    await producer?.close();
  }

  #start(): void {
    this.#running ??= this.#sendAll().finally(() => {
      this.#running = undefined;
      if (this.#waiting.length > 0) this.#start();
    });
  }

  async #sendAll(): Promise<void> {
    await endOfTurn();
    await this.#gather(this.#tuning.publishSpacingMs);
    let waitMs = 10;
    while (this.#waiting.length > 0) {
      try {
        this.#producer ??= await this.#driver.openProducer();
      } catch (thrown) {
        const error = toAppError(thrown);
        this.#rejectExpired(error, this.#closed || !error.retryable);
        await this.#sleep(waitMs);
        waitMs = Math.min(waitMs * 2, 1_000);
        continue;
      }
      waitMs = 10;
      const alreadyWaiting = await this.#sendBatch(this.#producer);
      await endOfTurn();
      // Somebody waited for this batch and had the next record ready: kept waiting each time, they would get nowhere.
      const isHeldUp = this.#waiting.length > alreadyWaiting;
      await this.#gather(isHeldUp ? 0 : this.#tuning.publishSpacingMs);
    }
  }

  /** How many records were waiting for the next batch when this one was settled. */
  async #sendBatch(producer: KafkaProducer): Promise<number> {
    const batch = this.#takeBatch();
    this.#begunMs = performance.now();
    let alreadyWaiting: number;
    try {
      const offsets = await producer.send(batch.map((waiting) => waiting.record));
      alreadyWaiting = this.#waiting.length;
      for (const [index, waiting] of batch.entries()) waiting.resolve(offsets[index] ?? -1n);
    } catch (thrown) {
      alreadyWaiting = this.#waiting.length;
      const error = toAppError(thrown);
      for (const waiting of batch) waiting.reject(error);
      this.#producer = undefined;
      await producer.close();
    }
    for (const waiting of batch) this.#waitingBytes -= waiting.bytes;
    return alreadyWaiting;
  }

  /** Lets more records come that can share the request of those that wait. */
  async #gather(spacingMs: number): Promise<void> {
    const delayMs = Math.max(this.#tuning.publishLingerMs, this.#begunMs + spacingMs - performance.now());
    const isFull = this.#waitingBytes >= this.#tuning.maxPublishBatchBytes;
    if (this.#closed || this.#waiting.length === 0 || isFull || delayMs <= 0) return;
    this.#isGathering = true;
    await this.#sleep(delayMs);
    this.#isGathering = false;
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      bytes += waiting.bytes;
      if (count > 0 && bytes > this.#tuning.maxPublishBatchBytes) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  #rejectExpired(error: AppError, all: boolean): void {
    const nowMs = performance.now();
    const kept: Waiting[] = [];
    for (const waiting of this.#waiting) {
      if (!all && waiting.deadlineMs > nowMs) {
        kept.push(waiting);
        continue;
      }
      this.#waitingBytes -= waiting.bytes;
      waiting.reject(error);
    }
    this.#waiting = kept;
  }

  async #sleep(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}

/** What is published until then was published at the same time, as far as anybody can tell. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
