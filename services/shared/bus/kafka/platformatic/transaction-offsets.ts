import {
  kPerformWithRetry,
  NetworkError,
  txnOffsetCommitV3,
  UserError,
  type Base,
  type Producer,
} from '@platformatic/kafka';
import type { TransactionOffsets } from '../kafka-driver.ts';

/** Not told: the broker takes the position without comparing. */
const unknownLeaderEpoch = -1;

/**
 * Makes the positions of a group a part of the open transaction, all partitions in one request (TxnOffsetCommit, version 3: Kafka 2.5 and
 * later). Of our own because the client sends one request for each partition, and forgets the second of two at once.
 */
export async function commitTransactionOffsets<Key, Value, HeaderKey, HeaderValue>(
  producer: Producer<Key, Value, HeaderKey, HeaderValue>,
  transactionalId: string,
  { topic, next, identity }: TransactionOffsets,
): Promise<void> {
  const { group, generation, memberId, coordinatorId } = identity;
  const { producerId, producerEpoch } = producer;
  if (producerId === undefined || producerEpoch === undefined) throw new UserError('The producer has no id yet.');
  const partitions = [...next].map(([partitionIndex, committedOffset]) => ({
    ...{ partitionIndex, committedOffset, committedLeaderEpoch: unknownLeaderEpoch, committedMetadata: null },
  }));
  const topics = [{ name: topic, partitions }];
  await withRetries(producer, 'commitOffsets', async () => {
    const connection = (await producer.connectToBrokers([coordinatorId])).get(coordinatorId);
    if (connection === undefined) throw new NetworkError(`Broker ${coordinatorId} is not known.`);
    const about = [transactionalId, group, producerId, producerEpoch, generation, memberId] as const;
    await txnOffsetCommitV3.api.async(connection, ...about, null, topics);
  });
}

/** As often and as far apart as the client tries its own requests. */
function withRetries(client: Base, name: string, request: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    void client[kPerformWithRetry]<undefined>(
      name,
      (done) => {
        request().then(
          () => done(null, undefined),
          (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
        );
      },
      (error) => {
        if (error) reject(error);
        else resolve();
      },
    );
  });
}
