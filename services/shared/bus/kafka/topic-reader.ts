import type { IncomingRecord } from './kafka-driver.ts';

/** Part of a partition: the records from `from` on, up to but without `end`. */
export interface PartitionSpan {
  readonly partition: number;
  readonly from: bigint;
  readonly end: bigint;
}

export interface TopicSpan {
  readonly topic: string;
  readonly partitions: readonly PartitionSpan[];
  /** Records came before: they are older than asked for, or gone by the topic's retention. */
  readonly startsMidway: boolean;
}

/** By the time at which records were written. Ends where the topic ended when it was asked, if not before. */
export interface TimeRange {
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

export interface PartitionRecords {
  readonly partition: number;
  readonly records: readonly IncomingRecord[];
}

/**
 * Reads topics without a group and without leaving a trace on the broker: only what is committed, each partition in its order.
 * Rejections are AppErrors with SIGHTLINE_KAFKA_* codes.
 */
export interface TopicReader {
  /** Where a range begins and ends now. */
  span(topic: string, range: TimeRange): Promise<TopicSpan>;
  /** One partition after the other, each to its end. Throws SIGHTLINE_KAFKA_UNREACHABLE where nothing comes for too long. */
  read(span: TopicSpan): AsyncGenerator<PartitionRecords, void>;
  /** All partitions at once, also what is written from now on; ends by the signal. Outages are waited out. */
  follow(span: TopicSpan, signal: AbortSignal): AsyncGenerator<PartitionRecords, void>;
  close(): Promise<void>;
}
