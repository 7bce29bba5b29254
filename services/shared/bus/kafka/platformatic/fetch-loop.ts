import type { Consumer } from '@platformatic/kafka';
import type { FetchedRecords, IncomingRecord } from '../kafka-driver.ts';
import type { KafkaTuning } from '../kafka-settings.ts';
import type { RecordHeaders } from '../serde.ts';
import { fromPlatformatic } from './platformatic-errors.ts';

type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>;
type FetchPartition = FetchResponse['responses'][number]['partitions'][number];
type Batch = NonNullable<FetchPartition['records']>[number];

interface Position {
  offset: bigint;
  paused: boolean;
}

export interface FetchLoopEvents {
  records(fetched: FetchedRecords): void;
  /** What the broker had at this offset is gone; `first` finds where to go on. */
  firstOffset(partition: number): Promise<bigint>;
  failed(error: unknown): void;
}

const isControl = 0x20;
const offsetOutOfRange = 1;

/**
 * Fetches partitions one request at a time for each broker. Of our own because the client's stream can only be paused as a whole, and
 * because its read_committed lets records of an aborted transaction through whose end lies beyond the fetched bytes.
 */
export class FetchLoop {
  readonly #consumer: Consumer;
  readonly #topic: string;
  readonly #tuning: KafkaTuning;
  readonly #events: FetchLoopEvents;
  readonly #positions = new Map<number, Position>();
  readonly #running = new Map<number, Promise<void>>();
  #closed = false;
  #wake: (() => void)[] = [];

  constructor(consumer: Consumer, topic: string, tuning: KafkaTuning, events: FetchLoopEvents) {
    this.#consumer = consumer;
    this.#topic = topic;
    this.#tuning = tuning;
    this.#events = events;
  }

  /** Keeps only these partitions. */
  retain(partitions: readonly number[]): void {
    for (const partition of this.#positions.keys())
      if (!partitions.includes(partition)) this.#positions.delete(partition);
  }

  start(partition: number, offset: bigint): void {
    this.#positions.set(partition, { offset, paused: false });
    this.#wakeAll();
  }

  pause(partition: number): void {
    const position = this.#positions.get(partition);
    if (position !== undefined) position.paused = true;
  }

  resume(partition: number): void {
    const position = this.#positions.get(partition);
    if (position !== undefined) position.paused = false;
    this.#wakeAll();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wakeAll();
    await Promise.all(this.#running.values());
  }

  #wakeAll(): void {
    if (this.#running.size === 0 && !this.#closed) this.#spawn(-1);
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** One loop for each broker that leads some of our partitions; -1 only looks for who leads what. */
  #spawn(node: number): void {
    if (this.#running.has(node) || this.#closed) return;
    const loop = this.#loop(node)
      .catch((error: unknown) => this.#events.failed(error))
      .finally(() => this.#running.delete(node));
    this.#running.set(node, loop);
  }

  async #loop(node: number): Promise<void> {
    let waitMs = this.#tuning.retryInitialMs;
    while (!this.#closed) {
      try {
        const metadata = await this.#consumer.metadata({ topics: [this.#topic] });
        const topic = metadata.topics.get(this.#topic);
        const wanted: { partition: number; position: Position; offset: bigint }[] = [];
        let isLeaderless = false;
        for (const [partition, position] of this.#positions) {
          const leader = topic?.partitions[partition]?.leader ?? -1;
          if (leader < 0) isLeaderless = true;
          if (leader < 0) continue;
          if (leader !== node) this.#spawn(leader);
          else if (!position.paused) wanted.push({ partition, position, offset: position.offset });
        }
        if (wanted.length === 0 || topic === undefined) {
          // Asked again, or the client goes on telling us for a minute what it knows.
          if (isLeaderless) this.#consumer.clearMetadata();
          await this.#sleep(this.#tuning.fetchWaitMs * 4);
          continue;
        }
        await this.#fetch(node, topic.id, wanted);
        waitMs = this.#tuning.retryInitialMs;
      } catch (thrown) {
        if (this.#isClosed()) return;
        const error = fromPlatformatic(`fetch from ${this.#topic}`, thrown);
        if (error.code === 'SIGHTLINE_KAFKA_AUTH' || error.code === 'SIGHTLINE_KAFKA_NOT_AUTHORISED') throw error;
        if (await this.#moveOutOfRange(thrown)) continue;
        // Leaders may have moved; everything else is tried again, and the watchdog sees what does not heal.
        this.#consumer.clearMetadata();
        await this.#sleep(waitMs);
        waitMs = Math.min(waitMs * 2, 1_000);
      }
    }
  }

  async #fetch(
    node: number,
    topicId: string,
    wanted: readonly { partition: number; position: Position; offset: bigint }[],
  ): Promise<void> {
    const response = await this.#consumer.fetch({
      node,
      minBytes: 1,
      maxBytes: this.#tuning.fetchMaxBytes,
      maxWaitTime: this.#tuning.fetchWaitMs,
      isolationLevel: 1,
      topics: [
        {
          topicId,
          partitions: wanted.map(({ partition, offset }) => ({
            partition,
            currentLeaderEpoch: -1,
            fetchOffset: offset,
            lastFetchedEpoch: -1,
            partitionMaxBytes: this.#tuning.fetchMaxBytesPerPartition,
          })),
        },
      ],
    });
    for (const answer of response.responses.flatMap((entry) => entry.partitions)) {
      const asked = wanted.find((entry) => entry.partition === answer.partitionIndex);
      // Moved, restarted or given away while the request was under way: what it brought is not what is wanted now.
      if (asked === undefined || this.#positions.get(asked.partition) !== asked.position) continue;
      if (asked.position.offset !== asked.offset) continue;
      const { records, nextOffset } = committedRecords(answer, asked.offset);
      if (nextOffset === asked.offset) continue;
      asked.position.offset = nextOffset;
      this.#events.records({ partition: asked.partition, records, nextOffset, highWatermark: answer.highWatermark });
    }
  }

  /** Retention may overtake a reader: it goes on with the first record that is left. */
  async #moveOutOfRange(thrown: unknown): Promise<boolean> {
    let moved = false;
    for (const { partitionIndex, errorCode } of partitionErrors(thrown)) {
      const position = this.#positions.get(partitionIndex);
      if (errorCode !== offsetOutOfRange || position === undefined) continue;
      const first = await this.#events.firstOffset(partitionIndex);
      if (this.#positions.get(partitionIndex) === position) position.offset = first;
      moved = true;
    }
    return moved;
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  async #sleep(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** The records of a fetched partition that are committed, and where to go on. */
export function committedRecords(
  answer: Partial<Pick<FetchPartition, 'records' | 'abortedTransactions'>>,
  from: bigint,
): { records: IncomingRecord[]; nextOffset: bigint } {
  const records: IncomingRecord[] = [];
  let nextOffset = from;
  const starts = [...(answer.abortedTransactions ?? [])].sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1));
  const aborted = new Set<bigint>();
  for (const batch of answer.records ?? []) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    while (starts[0] !== undefined && starts[0].firstOffset <= last) {
      const started = starts.shift();
      if (started !== undefined) aborted.add(started.producerId);
    }
    if (last + 1n > nextOffset) nextOffset = last + 1n;
    if ((batch.attributes & isControl) !== 0) {
      // The marker that ends the transaction: the producer's next records are another one's.
      aborted.delete(batch.producerId);
      continue;
    }
    if ((batch.attributes & 0x10) !== 0 && aborted.has(batch.producerId)) continue;
    for (const record of batch.records) {
      const offset = batch.firstOffset + BigInt(record.offsetDelta);
      if (offset >= from) records.push(incomingRecord(batch, record, offset));
    }
  }
  return { records, nextOffset };
}

function incomingRecord(batch: Batch, record: Batch['records'][number], offset: bigint): IncomingRecord {
  return {
    offset,
    key: record.key?.toString('utf8') ?? null,
    value: record.value,
    headers: headersOf(record.headers),
    timestampMs: Number(batch.firstTimestamp + record.timestampDelta),
  };
}

function headersOf(headers: readonly [Buffer | null, Buffer | null][]): RecordHeaders {
  const result: Record<string, string | Buffer> = {};
  for (const [name, value] of headers) if (name !== null && value !== null) result[name.toString('utf8')] = value;
  return result;
}

/** The answers for single partitions that a failed fetch carries with it. */
function partitionErrors(thrown: unknown): { partitionIndex: number; errorCode: number }[] {
  const found: { partitionIndex: number; errorCode: number }[] = [];
  const pending: unknown[] = [thrown];
  for (let seen = 0; seen < 64 && pending.length > 0; seen += 1) {
    const error = pending.pop();
    if (!(error instanceof Error)) continue;
    const { response, errors } = error as Error & { response?: Partial<FetchResponse>; errors?: unknown[] };
    for (const topic of response?.responses ?? [])
      found.push(...topic.partitions.filter((partition) => partition.errorCode !== 0));
    if (errors !== undefined) pending.push(...errors);
  }
  return found;
}
