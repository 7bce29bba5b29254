import type { SecureContextOptions } from 'node:tls';

/** Which client carries the bus; docs/kafka.md says why there are two. */
export type KafkaClientName = 'kafkajs' | 'platformatic';

/** How the brokers are reached. Complete values: where they come from (environment, files) is the composition's business. */
export interface KafkaConnectionSettings {
  /** `host:port` of a few brokers; the rest is learnt from them. */
  readonly brokers: readonly string[];
  /** Names this process in the broker's logs. One per process: it is also a part of its transactional ids. */
  readonly clientId: string;
  readonly tls?: KafkaTlsSettings;
  readonly sasl?: KafkaSaslSettings;
}

export interface KafkaTlsSettings extends Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'passphrase'> {
  /** Accepts a certificate that nobody vouches for. For trials only. */
  readonly insecure?: boolean;
  /** Name in the certificate, where the brokers are reached by another one. */
  readonly serverName?: string;
}

export interface KafkaSaslSettings {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

export interface KafkaTuning {
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** A member that is silent for so long loses its partitions. The broker's group.min.session.timeout.ms is the floor (6 s by default). */
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** How long the broker waits for all members to come back in a rebalance. */
  readonly rebalanceTimeoutMs: number;
  /** Longest wait of a fetch for new records; also how late a resumed partition or a heartbeat error may be seen. */
  readonly fetchWaitMs: number;
  readonly fetchMaxBytes: number;
  readonly fetchMaxBytesPerPartition: number;
  /** The broker ends a transaction that is open for so long. Has to outlast a stall of the process that it survives as a member. */
  readonly transactionTimeoutMs: number;
  /** How long ready outputs wait for more to share their transaction. A transaction costs the same for one record and for a hundred. */
  readonly transactionLingerMs: number;
  /**
   * Least time from the beginning of one transaction to that of the next. A busy worker would else begin one for each result, and its results
   * are on average half of this later for it; a worker that has little to do does not notice it.
   */
  readonly transactionSpacingMs: number;
  /**
   * The same where half of what may be buffered of a partition waits: its results are late already and nobody notices a little more, while fewer
   * transactions help the worker to catch up. A quarter of what may be buffered is committed earlier.
   */
  readonly catchUpSpacingMs: number;
  /** Larger records are refused before they reach the broker; has to stay below the topic's max.message.bytes. */
  readonly maxRecordBytes: number;
  readonly maxTransactionRecords: number;
  readonly maxTransactionBytes: number;
  /** How often positions are committed where nothing is produced. */
  readonly commitIntervalMs: number;
  /** Records of one partition that may wait in this process before the partition (and only it) is paused. */
  readonly maxBufferedRecordsPerPartition: number;
  readonly maxBufferedBytesPerPartition: number;
  /** Longest time from publish() to its outcome. */
  readonly publishTimeoutMs: number;
  readonly maxPublishBatchBytes: number;
  /** How long a record waits for others to share its request, whether others come or not. */
  readonly publishLingerMs: number;
  /**
   * Least time from the beginning of one request to that of the next, for a request costs more than the records in it. Many cameras share
   * requests by it; a single one, or whoever waits for each record before it has the next, does not notice it.
   */
  readonly publishSpacingMs: number;
  /** Bytes that may wait for the broker over all of publish(); beyond them it rejects at once. */
  readonly maxPendingPublishBytes: number;
  /** Assigned, records waiting on the broker, nothing done for so long: the subscription fails. */
  readonly stallTimeoutMs: number;
  readonly closeTimeoutMs: number;
  /** How long joining the group is tried at first. A member that was in it tries for as long as it takes. */
  readonly joinTimeoutMs: number;
  /** First wait before a failed request is tried again; doubles up to a second. */
  readonly retryInitialMs: number;
}

/** Chosen by the measurements in docs/kafka.md. */
export const defaultKafkaTuning: KafkaTuning = {
  connectTimeoutMs: 3_000,
  requestTimeoutMs: 10_000,
  sessionTimeoutMs: 6_000,
  heartbeatIntervalMs: 1_000,
  rebalanceTimeoutMs: 10_000,
  fetchWaitMs: 250,
  fetchMaxBytes: 8 * 1024 * 1024,
  fetchMaxBytesPerPartition: 1024 * 1024,
  transactionTimeoutMs: 10_000,
  transactionLingerMs: 10,
  transactionSpacingMs: 60,
  catchUpSpacingMs: 250,
  maxRecordBytes: 1_000_000,
  maxTransactionRecords: 256,
  maxTransactionBytes: 900 * 1024,
  commitIntervalMs: 200,
  maxBufferedRecordsPerPartition: 64,
  maxBufferedBytesPerPartition: 4 * 1024 * 1024,
  publishTimeoutMs: 30_000,
  maxPublishBatchBytes: 900 * 1024,
  publishLingerMs: 0,
  publishSpacingMs: 25,
  maxPendingPublishBytes: 64 * 1024 * 1024,
  stallTimeoutMs: 30_000,
  closeTimeoutMs: 10_000,
  joinTimeoutMs: 60_000,
  retryInitialMs: 5,
};
