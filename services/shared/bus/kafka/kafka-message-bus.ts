import { AppError, toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { Message, MessageBus, OutgoingMessage, SubscribeOptions, Subscription, Topic } from '../message-bus.ts';
import type { KafkaAdmin, KafkaDriver, OutgoingRecord } from './kafka-driver.ts';
import type { KafkaTuning } from './kafka-settings.ts';
import { KafkaSubscription, type PartitionLag } from './kafka-subscription.ts';
import { partitionOfKey } from './murmur2.ts';
import type { LedgerEntry } from './partition-ledger.ts';
import { Publisher } from './publisher.ts';
import type { RecordHeaders, SerdeOfTopic } from './serde.ts';

export interface KafkaMessageBusOptions {
  readonly serdeOf: SerdeOfTopic;
  /** Where records go that cannot be decoded, with their position and the reason in headers. */
  readonly deadLettersTopic: string;
  readonly tuning: KafkaTuning;
  readonly logger: Logger;
  /** `at-least-once` leaves the transactions out: results may then come twice. There to show what they are for. Default exactly-once. */
  readonly delivery?: 'exactly-once' | 'at-least-once';
}

/** Where a record stands. Offsets of a partition grow and are never reused: the offset of a claim is its epoch. */
export interface RecordPosition {
  readonly partition: number;
  readonly offset: bigint;
}

/** What handlers are given on Kafka: a message and where it stood. */
export interface KafkaMessage<Value> extends Message<Value>, RecordPosition {}

export interface ProcessOptions extends SubscribeOptions {
  /**
   * Called when partitions become ours or may have been another's in between, once their former owners can commit nothing more and before
   * anything of them is handled. Tried again where it rejects with a retryable error.
   */
  readonly prepare?: (partitions: readonly number[]) => Promise<void>;
}

/** The message bus on Kafka, whichever client carries it. */
export interface KafkaMessageBus extends MessageBus {
  consume<Value>(
    topic: Topic<Value>,
    options: SubscribeOptions,
    handler: (message: KafkaMessage<Value>) => Promise<void>,
  ): Promise<Subscription>;
  process<Value>(
    topic: Topic<Value>,
    options: ProcessOptions,
    handler: (message: KafkaMessage<Value>) => Promise<readonly OutgoingMessage[]>,
  ): Promise<Subscription>;
  publishWithOffset<Value>(topic: Topic<Value>, message: Message<Value>): Promise<RecordPosition>;
  /** For every partition that this process has been assigned. */
  lag(): PartitionLag[];
  /** Why a subscription has no part in its group at the moment; undefined while all have. */
  trouble(): string | undefined;
  /** Bytes of records that wait for the broker to take them. */
  pendingPublishBytes(): number;
  readonly admin: KafkaAdmin;
}

export function createKafkaMessageBus(driver: KafkaDriver, options: KafkaMessageBusOptions): KafkaMessageBus {
  return new DriverMessageBus(driver, options);
}

const partitionCountMaxAgeMs = 60_000;

class DriverMessageBus implements KafkaMessageBus {
  readonly admin: KafkaAdmin;
  readonly #driver: KafkaDriver;
  readonly #options: KafkaMessageBusOptions;
  readonly #publisher: Publisher;
  readonly #subscriptions: KafkaSubscription[] = [];
  readonly #partitionCounts = new Map<string, { count: Promise<number>; readonly atMs: number }>();
  /** End of what this bus has written, by topic and partition; idle() waits until its readers have come so far. */
  readonly #written = new Map<string, Map<number, bigint>>();
  #publishing = 0;
  #closing: Promise<void> | undefined;

  constructor(driver: KafkaDriver, options: KafkaMessageBusOptions) {
    this.admin = driver.admin;
    this.#driver = driver;
    this.#options = options;
    this.#publisher = new Publisher(driver, options.tuning);
  }

  async publish<Value>(topic: Topic<Value>, message: Message<Value>): Promise<void> {
    await this.publishWithOffset(topic, message);
  }

  async publishWithOffset<Value>(topic: Topic<Value>, message: Message<Value>): Promise<RecordPosition> {
    if (this.#closing !== undefined) throw new AppError('SIGHTLINE_BUS_CLOSED', `cannot publish to ${topic.name}`);
    this.#publishing += 1;
    try {
      const record = await this.#outgoingRecord({ topic, key: message.key, value: message.value });
      const offset = await this.#publisher.publish(record);
      this.#noteWritten([record], [offset]);
      return { partition: record.partition, offset };
    } finally {
      this.#publishing -= 1;
    }
  }

  consume<Value>(
    topic: Topic<Value>,
    options: SubscribeOptions,
    handler: (message: KafkaMessage<Value>) => Promise<void>,
  ): Promise<Subscription> {
    return this.#subscribe(
      topic,
      options,
      { maxInFlightPerKey: 1, commit: 'positions', reached: 'handled' },
      async (message) => {
        // The topic constant fixes the type of what its serde returns: see Topic.valueType.
        await handler(message as KafkaMessage<Value>);
        return [];
      },
    );
  }

  process<Value>(
    topic: Topic<Value>,
    options: ProcessOptions,
    handler: (message: KafkaMessage<Value>) => Promise<readonly OutgoingMessage[]>,
  ): Promise<Subscription> {
    const commit = this.#options.delivery === 'at-least-once' ? 'positions' : 'transactions';
    return this.#subscribe(topic, options, { maxInFlightPerKey: Infinity, commit, reached: 'committed' }, (message) =>
      // The topic constant fixes the type of what its serde returns: see Topic.valueType.
      handler(message as KafkaMessage<Value>),
    );
  }

  async idle(): Promise<void> {
    while (this.#publishing > 0 || !(await this.#caughtUp())) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  lag(): PartitionLag[] {
    const nowMs = Date.now();
    return this.#subscriptions.flatMap((subscription) => subscription.lag(nowMs));
  }

  trouble(): string | undefined {
    return this.#subscriptions.find(({ trouble }) => trouble !== undefined)?.trouble;
  }

  pendingPublishBytes(): number {
    return this.#publisher.waitingBytes;
  }

  async #close(): Promise<void> {
    await Promise.all(this.#subscriptions.map((subscription) => subscription.close()));
    await this.#publisher.close();
    await this.#driver.close();
  }

  async #subscribe(
    topic: Topic<unknown>,
    { group, maxInFlight, prepare }: ProcessOptions,
    kind: { maxInFlightPerKey: number; commit: 'transactions' | 'positions'; reached: 'committed' | 'handled' },
    handler: (message: KafkaMessage<unknown>) => Promise<readonly OutgoingMessage[]>,
  ): Promise<Subscription> {
    if (this.#closing !== undefined) throw new AppError('SIGHTLINE_BUS_CLOSED', `cannot subscribe to ${topic.name}`);
    // Says at once that the topic is missing or forbidden; the group would wait for it without a word.
    await this.#partitionCount(topic.name);
    const subscription: KafkaSubscription = new KafkaSubscription({
      driver: this.#driver,
      tuning: this.#options.tuning,
      logger: this.#options.logger,
      topic: topic.name,
      group,
      maxInFlight,
      ...kind,
      prepare: prepare ?? (() => Promise.resolve()),
      handle: (entry) => this.#handle(topic, group, entry, handler, () => subscription.isStopped),
      write: async (records) => {
        const offsets = await Promise.all(records.map((record) => this.#publisher.publish(record)));
        this.#noteWritten(records, offsets);
      },
      wrote: (records, offsets) => this.#noteWritten(records, offsets),
    });
    this.#subscriptions.push(subscription);
    try {
      await subscription.open();
    } catch (error) {
      this.#subscriptions.splice(this.#subscriptions.indexOf(subscription), 1);
      await subscription.close();
      throw error;
    }
    return subscription;
  }

  async #handle(
    topic: Topic<unknown>,
    group: string,
    entry: LedgerEntry,
    handler: (message: KafkaMessage<unknown>) => Promise<readonly OutgoingMessage[]>,
    isStopped: () => boolean,
  ): Promise<readonly OutgoingRecord[]> {
    const { key, offset } = entry.record;
    let value: unknown;
    let waitMs = 50;
    for (;;) {
      try {
        if (key === null) throw new AppError('SIGHTLINE_RECORD_UNDECODABLE', 'the record has no key');
        value = await this.#options
          .serdeOf(topic.name)
          .decode({ key, value: entry.record.value, headers: entry.record.headers });
        break;
      } catch (thrown) {
        const error = toAppError(thrown);
        if (!error.retryable) return [await this.#deadLetter(topic.name, group, entry, error)];
        // Nothing is wrong with the record: left uncommitted, it is the next owner's.
        if (isStopped() || entry.ledger.dropped) throw error;
        await new Promise<void>((resolve) => setTimeout(resolve, waitMs));
        waitMs = Math.min(waitMs * 2, 2_000);
      }
    }
    const outputs = await handler({ key, value, partition: entry.ledger.partition, offset });
    if (outputs.length === 0) return [];
    return Promise.all(outputs.map((output) => this.#outgoingRecord(output)));
  }

  async #deadLetter(topic: string, group: string, entry: LedgerEntry, error: AppError): Promise<OutgoingRecord> {
    const { record, ledger } = entry;
    const position = `${topic}/${String(ledger.partition)}/${String(record.offset)}`;
    this.#options.logger.warn({ err: error, position, group }, 'record sent to the dead letters');
    const key = record.key ?? position;
    const headers: RecordHeaders = {
      ...record.headers,
      'sightline-topic': topic,
      'sightline-partition': String(ledger.partition),
      'sightline-offset': String(record.offset),
      'sightline-timestamp-ms': String(record.timestampMs),
      'sightline-group': group,
      'sightline-reason-code': error.code,
      'sightline-reason': error.message.slice(0, 1_000),
    };
    const deadLetters = this.#options.deadLettersTopic;
    const partition = partitionOfKey(key, await this.#partitionCount(deadLetters));
    return { topic: deadLetters, partition, key, value: record.value, headers };
  }

  async #outgoingRecord({ topic, key, value }: OutgoingMessage): Promise<OutgoingRecord> {
    const encoded = this.#options.serdeOf(topic.name).encode(value);
    const partition = partitionOfKey(key, await this.#partitionCount(topic.name));
    return { topic: topic.name, partition, key, value: encoded.value, headers: encoded.headers ?? {} };
  }

  /** Always a promise, though mostly a settled one: answers in the order of the questions keep the messages of a key in order. */
  #partitionCount(topic: string): Promise<number> {
    const known = this.#partitionCounts.get(topic);
    if (known !== undefined && performance.now() - known.atMs < partitionCountMaxAgeMs) return known.count;
    const asked = this.#driver.admin.partitionCount(topic);
    const entry = { count: known?.count ?? asked, atMs: performance.now() };
    this.#partitionCounts.set(topic, entry);
    asked.then(
      () => {
        entry.count = asked;
      },
      () => {
        // An old answer is better than none while Kafka is away; without one the next caller asks again.
        if (known === undefined) this.#partitionCounts.delete(topic);
      },
    );
    return entry.count;
  }

  #noteWritten(records: readonly OutgoingRecord[], offsets: readonly bigint[]): void {
    for (const [index, { topic, partition }] of records.entries()) {
      let partitions = this.#written.get(topic);
      if (partitions === undefined) this.#written.set(topic, (partitions = new Map<number, bigint>()));
      const end = (offsets[index] ?? -1n) + 1n;
      if (end > (partitions.get(partition) ?? 0n)) partitions.set(partition, end);
    }
  }

  async #caughtUp(): Promise<boolean> {
    for (const subscription of this.#subscriptions) {
      if (subscription.isStopped) continue;
      const elsewhere: [number, bigint][] = [];
      for (const [partition, end] of this.#written.get(subscription.topic) ?? []) {
        const reached = subscription.reached(partition);
        if (reached === undefined) elsewhere.push([partition, end]);
        else if (reached < end) return false;
      }
      if (elsewhere.length === 0) continue;
      const committed = await this.#driver.admin.committed(subscription.group, subscription.topic);
      if (elsewhere.some(([partition, end]) => (committed.get(partition) ?? 0n) < end)) return false;
    }
    return true;
  }
}
