import { Admin, NetworkError, type Consumer } from '@platformatic/kafka';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FetchedRecords } from '../../../services/shared/bus/kafka/kafka-driver.ts';
import { defaultKafkaTuning } from '../../../services/shared/bus/kafka/kafka-settings.ts';
import { FetchLoop } from '../../../services/shared/bus/kafka/platformatic/fetch-loop.ts';
import { retryDelay } from '../../../services/shared/bus/kafka/platformatic/platformatic-options.ts';

describe('what a client knows of the brokers', () => {
  class RememberingClient extends Admin {
    knows = true;
    override clearMetadata(): void {
      this.knows = false;
    }
  }
  const clientAfter = (error: Error): RememberingClient => {
    const client = new RememberingClient({ clientId: 'test', bootstrapBrokers: ['127.0.0.1:1'] });
    const delay = retryDelay(5, 200);
    expect([1, 2, 3, 4, 20].map((attempt) => delay(client, 'commit', attempt, 20, error))).toEqual([
      5, 10, 20, 40, 200,
    ]);
    return client;
  };

  it('is asked for anew before the next attempt where a broker was not reached or not known', () => {
    expect(clientAfter(new NetworkError('the broker is not in the current cluster metadata')).knows).toBe(false);
  });

  it('is kept where a broker had something else against the request', () => {
    expect(clientAfter(new Error('a transaction is just ending')).knows).toBe(true);
  });
});

it('a fetch begins when the partition has a leader again, though the client would still know of none', async () => {
  // As the client does: what it was told once it tells until it is cleared.
  let known: number | undefined = -1;
  let leader = -1;
  const consumer = {
    metadata: () => {
      known ??= leader;
      return Promise.resolve({ topics: new Map([['frames', { id: 'id', partitions: [{ leader: known }] }]]) });
    },
    clearMetadata: () => {
      known = undefined;
    },
    fetch: async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const batch = { firstOffset: 0n, lastOffsetDelta: 0, attributes: 0, producerId: -1n, firstTimestamp: 0n };
      const record = { offsetDelta: 0, timestampDelta: 0n, key: null, value: Buffer.from('1'), headers: [] };
      const partitions = [{ partitionIndex: 0, highWatermark: 1n, records: [{ ...batch, records: [record] }] }];
      return { responses: [{ partitions }] };
    },
  };
  const { promise, resolve, reject } = Promise.withResolvers<FetchedRecords>();
  // The three calls that the loop makes.
  const loop = new FetchLoop(
    consumer as unknown as Consumer,
    'frames',
    { ...defaultKafkaTuning, fetchWaitMs: 1 },
    {
      records: resolve,
      firstOffset: () => Promise.resolve(0n),
      failed: reject,
    },
  );
  onTestFinished(() => loop.close());
  loop.start(0, 0n);
  await new Promise((done) => setTimeout(done, 20));
  leader = 1;
  expect(await promise).toMatchObject({ partition: 0, nextOffset: 1n });
});
