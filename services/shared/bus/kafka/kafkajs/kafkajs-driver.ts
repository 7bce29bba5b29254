import kafkajs, {
  type Consumer,
  type IHeaders,
  type Kafka,
  type KafkaConfig,
  type KafkaMessage,
  type Message,
  type TopicMessages,
} from 'kafkajs';
import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type {
  GroupEvents,
  GroupMembership,
  IncomingRecord,
  JoinGroupOptions,
  KafkaDriver,
  KafkaProducer,
  KafkaTransactions,
  MemberIdentity,
  OutgoingRecord,
  TransactionOffsets,
} from '../kafka-driver.ts';
import type { KafkaConnectionSettings, KafkaTuning } from '../kafka-settings.ts';
import { positionsOf } from '../positions-of.ts';
import type { RecordHeaders } from '../serde.ts';
import { createKafkajsAdmin } from './kafkajs-admin.ts';
import { fromKafkajs } from './kafkajs-errors.ts';

export interface KafkajsDriverOptions {
  readonly connection: KafkaConnectionSettings;
  readonly tuning: KafkaTuning;
  readonly logger: Logger;
}

export function createKafkajsDriver(options: KafkajsDriverOptions): KafkaDriver {
  const { connection, tuning, logger } = options;
  // A question that cannot be answered fails soon; what carries records holds out, and its connections with it.
  const admin = createKafkajsAdmin(new kafkajs.Kafka(clientConfig(connection, tuning, logger, 8)));
  const kafka = new kafkajs.Kafka(clientConfig(connection, tuning, logger, retriesWithin(tuning.publishTimeoutMs)));
  return {
    name: 'kafkajs',
    transactionScope: 'partition',
    admin,
    openProducer: () => openProducer(kafka, tuning),
    openTransactions: (transactionalId) => openTransactions(kafka, tuning, transactionalId),
    // Each new owner of a partition opens the transactional id of the old one: nothing can be left over.
    endOrphanedTransactions: () => Promise.resolve(),
    joinGroup: (join, events) => joinGroup(kafka, tuning, admin, join, events),
    close: () => admin.close(),
  };
}

function clientConfig(
  connection: KafkaConnectionSettings,
  tuning: KafkaTuning,
  logger: Logger,
  retries: number,
): KafkaConfig {
  const { tls, sasl } = connection;
  const { insecure, serverName, ...context } = tls ?? {};
  const config: KafkaConfig = {
    clientId: connection.clientId,
    brokers: [...connection.brokers],
    connectionTimeout: tuning.connectTimeoutMs,
    authenticationTimeout: tuning.connectTimeoutMs,
    requestTimeout: tuning.requestTimeoutMs,
    // The default first wait of 300 ms is what a transaction costs that meets the end of the one before it.
    retry: { initialRetryTime: tuning.retryInitialMs, maxRetryTime: 1_000, multiplier: 2, retries },
    logLevel: kafkajs.logLevel.WARN,
    logCreator:
      () =>
      ({ level, namespace, log }) => {
        const { message, ...facts } = log;
        const fields = { client: 'kafkajs', namespace, error: facts['error'] as unknown };
        // What matters comes back to us as a rejection; the client's own words are for finding out why.
        if (level <= kafkajs.logLevel.WARN) logger.debug(fields, message);
      },
  };
  if (tls !== undefined) {
    config.ssl = {
      ...context,
      ...(insecure === true ? { rejectUnauthorized: false } : {}),
      ...(serverName === undefined ? {} : { servername: serverName }),
    };
  }
  // kafkajs wants a union of three with one mechanism each; ours is any of them, with the same fields.
  if (sasl !== undefined) config.sasl = sasl as NonNullable<KafkaConfig['sasl']>;
  return config;
}

/** Retries that fill `budgetMs`: short ones first, then one a second. */
function retriesWithin(budgetMs: number): number {
  return 8 + Math.ceil(budgetMs / 1_000);
}

async function openProducer(kafka: Kafka, tuning: KafkaTuning): Promise<KafkaProducer> {
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    retry: {
      initialRetryTime: tuning.retryInitialMs,
      maxRetryTime: 1_000,
      retries: retriesWithin(tuning.publishTimeoutMs),
    },
  });
  await guard('connect to Kafka', () => producer.connect());
  return {
    send: (records) =>
      guard('write to Kafka', async () =>
        offsetsOf(
          records,
          await producer.sendBatch({
            acks: -1,
            timeout: tuning.requestTimeoutMs,
            topicMessages: topicMessages(records),
          }),
        ),
      ),
    close: () => guard('close a producer', () => producer.disconnect()),
  };
}

async function openTransactions(
  kafka: Kafka,
  tuning: KafkaTuning,
  transactionalId: string,
): Promise<KafkaTransactions> {
  const producer = kafka.producer({
    transactionalId,
    maxInFlightRequests: 1,
    transactionTimeout: tuning.transactionTimeoutMs,
    allowAutoTopicCreation: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    retry: { initialRetryTime: tuning.retryInitialMs, maxRetryTime: 200, retries: 20 },
  });
  await guard('open transactions', async () => {
    await producer.connect();
    // The first transaction takes the id over: it fences whoever had it and ends what they left. Empty, it costs no more than that.
    const first = await producer.transaction();
    await first.abort();
  });
  return {
    run: (records, offsets) => guard('commit a transaction', () => runTransaction(producer, tuning, records, offsets)),
    close: () => guard('close a producer', () => producer.disconnect()),
  };
}

async function runTransaction(
  producer: ReturnType<Kafka['producer']>,
  tuning: KafkaTuning,
  records: readonly OutgoingRecord[],
  offsets: TransactionOffsets,
): Promise<readonly bigint[]> {
  const transaction = await producer.transaction();
  // No abort on failure: the outcome is unknown, so the producer is thrown away and the next one to open the id ends this transaction.
  const result =
    records.length === 0
      ? []
      : await transaction.sendBatch({
          acks: -1,
          timeout: tuning.requestTimeoutMs,
          topicMessages: topicMessages(records),
        });
  await transaction.sendOffsets({
    consumerGroupId: offsets.identity.group,
    topics: [
      {
        topic: offsets.topic,
        partitions: [...offsets.next].map(([partition, offset]) => ({ partition, offset: String(offset) })),
      },
    ],
  });
  await transaction.commit();
  return offsetsOf(records, result);
}

function topicMessages(records: readonly OutgoingRecord[]): TopicMessages[] {
  const byTopic = new Map<string, Message[]>();
  for (const { topic, partition, key, value, headers } of records) {
    let messages = byTopic.get(topic);
    if (messages === undefined) byTopic.set(topic, (messages = []));
    messages.push({ key, value, partition, headers: { ...headers } });
  }
  return [...byTopic].map(([topic, messages]) => ({ topic, messages }));
}

/** The records of one partition stand side by side from the partition's base offset on. */
function offsetsOf(
  records: readonly OutgoingRecord[],
  result: readonly { topicName: string; partition: number; baseOffset?: string }[],
): bigint[] {
  const next = new Map(
    result.map((part) => [`${part.topicName}/${String(part.partition)}`, BigInt(part.baseOffset ?? -1)]),
  );
  return records.map(({ topic, partition }) => {
    const id = `${topic}/${String(partition)}`;
    const offset = next.get(id) ?? -1n;
    next.set(id, offset + 1n);
    return offset;
  });
}

class KafkajsMembership implements GroupMembership {
  identity: MemberIdentity;
  readonly #group: string;
  readonly #topic: string;
  readonly #consumer: Consumer;
  readonly #committed: (group: string, topic: string) => Promise<ReadonlyMap<number, bigint | undefined>>;
  #closing: Promise<void> | undefined;
  closed = false;

  constructor(
    join: JoinGroupOptions,
    consumer: Consumer,
    committed: (group: string, topic: string) => Promise<ReadonlyMap<number, bigint | undefined>>,
  ) {
    this.#group = join.group;
    this.identity = { group: join.group, memberId: '', generation: -1, coordinatorId: -1 };
    this.#topic = join.topic;
    this.#consumer = consumer;
    this.#committed = committed;
  }

  /** Stable though the request does not ask for it: the caller holds the partitions' transactional ids, so nothing is pending. */
  async committed(partitions: readonly number[]): Promise<ReadonlyMap<number, bigint | undefined>> {
    return positionsOf(partitions, await this.#committed(this.#group, this.#topic));
  }

  start(partition: number, offset: bigint): void {
    if (this.closed) return;
    this.#consumer.seek({ topic: this.#topic, partition, offset: String(offset) });
    this.resume(partition);
  }

  pause(partition: number): void {
    if (!this.closed) this.#consumer.pause([{ topic: this.#topic, partitions: [partition] }]);
  }

  resume(partition: number): void {
    if (!this.closed) this.#consumer.resume([{ topic: this.#topic, partitions: [partition] }]);
  }

  commit(next: ReadonlyMap<number, bigint>, identity: MemberIdentity): Promise<void> {
    return guard('commit positions', async () => {
      // The client commits as who it is now.
      if (identity !== this.identity)
        throw new AppError('SIGHTLINE_KAFKA_REBALANCED', 'the assignment is over', { retryable: true });
      await this.#consumer.commitOffsets(
        [...next].map(([partition, offset]) => ({ topic: this.#topic, partition, offset: String(offset) })),
      );
    });
  }

  close(): Promise<void> {
    this.closed = true;
    this.#closing ??= guard('leave the group', () => this.#consumer.disconnect());
    return this.#closing;
  }
}

async function joinGroup(
  kafka: Kafka,
  tuning: KafkaTuning,
  admin: { committed(group: string, topic: string): Promise<ReadonlyMap<number, bigint | undefined>> },
  join: JoinGroupOptions,
  events: GroupEvents,
): Promise<GroupMembership> {
  const { group, topic } = join;
  const consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: tuning.sessionTimeoutMs,
    heartbeatInterval: tuning.heartbeatIntervalMs,
    rebalanceTimeout: tuning.rebalanceTimeoutMs,
    maxWaitTimeInMs: tuning.fetchWaitMs,
    maxBytes: tuning.fetchMaxBytes,
    maxBytesPerPartition: tuning.fetchMaxBytesPerPartition,
    allowAutoTopicCreation: false,
    readUncommitted: false,
    retry: {
      initialRetryTime: tuning.retryInitialMs,
      maxRetryTime: 1_000,
      retries: 60,
      // Left to itself it comes back after a crash as another member, behind our back.
      restartOnFailure: () => Promise.resolve(false),
    },
  });
  const membership = new KafkajsMembership(join, consumer, (g, t) => admin.committed(g, t));
  let generation = 0;
  let isJoined = false;
  const joined = new Promise<void>((resolve, reject) => {
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      if (membership.closed) return;
      const partitions = payload.memberAssignment[topic] ?? [];
      // Nothing is fetched before its owner has fenced the one before and found the position: see start().
      if (partitions.length > 0) consumer.pause([{ topic, partitions: [...partitions] }]);
      generation += 1;
      membership.identity = { group, memberId: payload.memberId, generation, coordinatorId: -1 };
      events.assigned({ partitions, memberId: payload.memberId, generation }, membership);
      isJoined = true;
      resolve();
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      const error = fromKafkajs(`consumer of ${group} on ${topic}`, payload.error);
      const wasClosed = membership.closed;
      void membership.close().catch(() => undefined); // the crash is what is reported
      if (isJoined && !wasClosed) events.failed(error);
      reject(error);
    });
    // The client passes over batches of which nothing is for us (markers, aborted records) without calling eachBatch.
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      events.passed(payload.partition, BigInt(payload.lastOffset) + 1n);
    });
  });
  joined.catch(() => undefined); // awaited below, unless connecting fails first
  try {
    await guard('connect to Kafka', () => consumer.connect());
    await guard(`subscribe to ${topic}`, () => consumer.subscribe({ topic, fromBeginning: true }));
    await guard(`join ${group}`, () =>
      consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: 1,
        // Only takes the records over: the loop that calls this also sends the heartbeats, and their errors have to reach it unhandled.
        eachBatch: (payload) => {
          const { batch } = payload;
          if (payload.isStale() || membership.closed) return Promise.resolve();
          const last = BigInt(batch.lastOffset());
          payload.resolveOffset(batch.messages.at(-1)?.offset ?? batch.lastOffset());
          events.records({
            partition: batch.partition,
            records: batch.messages.map(incomingRecord),
            nextOffset: last + 1n,
            highWatermark: BigInt(batch.highWatermark),
          });
          return Promise.resolve();
        },
      }),
    );
    await joined;
  } catch (error) {
    await membership.close().catch(() => undefined); // the first error is the one to tell
    throw error;
  }
  return membership;
}

function incomingRecord(message: KafkaMessage): IncomingRecord {
  return {
    offset: BigInt(message.offset),
    key: message.key?.toString('utf8') ?? null,
    value: message.value,
    headers: headersOf(message.headers),
    timestampMs: Number(message.timestamp),
  };
}

function headersOf(headers: IHeaders | undefined): RecordHeaders {
  const result: Record<string, string | Buffer> = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    const single = Array.isArray(value) ? value[0] : value;
    if (single !== undefined) result[name] = single;
  }
  return result;
}

async function guard<Result>(action: string, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    throw fromKafkajs(action, error);
  }
}
