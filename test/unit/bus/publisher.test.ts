import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { KafkaDriver, OutgoingRecord } from '../../../services/shared/bus/kafka/kafka-driver.ts';
import { defaultKafkaTuning, type KafkaTuning } from '../../../services/shared/bus/kafka/kafka-settings.ts';
import { Publisher } from '../../../services/shared/bus/kafka/publisher.ts';

const requestMs = 3;

/** A publisher on a broker that takes 3 ms for a request, and the requests: when each began and the keys in it. */
function publisherWith(tuning: Partial<KafkaTuning> = {}): {
  publisher: Publisher;
  publish: (key: string, bytes?: number) => Promise<void>;
  requests: { atMs: number; keys: string[] }[];
} {
  const requests: { atMs: number; keys: string[] }[] = [];
  const startMs = performance.now();
  const driver: Pick<KafkaDriver, 'openProducer'> = {
    openProducer: () =>
      Promise.resolve({
        send: async (records: readonly OutgoingRecord[]) => {
          requests.push({ atMs: performance.now() - startMs, keys: records.map(({ key }) => key) });
          await new Promise((resolve) => setTimeout(resolve, requestMs));
          return records.map(() => 0n);
        },
        close: () => Promise.resolve(),
      }),
  };
  // Publishing asks nothing else of a driver.
  const publisher = new Publisher(driver as KafkaDriver, { ...defaultKafkaTuning, publishSpacingMs: 25, ...tuning });
  const publish = async (key: string, bytes = 10): Promise<void> => {
    await publisher.publish({ topic: 'frames', partition: 0, key, value: Buffer.alloc(bytes), headers: {} });
  };
  return { publisher, publish, requests };
}

/** Time goes by with the turns of the event loop in it. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1) {
    await vi.advanceTimersByTimeAsync(1);
    for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('publishing', () => {
  beforeEach(() => {
    // Not setImmediate: under fake time the turns of the event loop would take time.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('lets the records of many cameras share requests', async () => {
    const { publish, requests } = publisherWith();
    const published: Promise<void>[] = [];
    for (let camera = 0; camera < 30; camera += 1) {
      published.push(publish(`camera-${String(camera)}`));
      await pass(5);
    }
    await pass(50);
    await Promise.all(published);
    expect(requests.map(({ keys }) => keys.length)).toEqual([1, 4, 5, 5, 5, 5, 5]);
  });

  it('puts what is published at the same time into one request', async () => {
    const { publish, requests } = publisherWith();
    const published = Promise.all([publish('one'), publish('two'), publish('three')]);
    await pass(10);
    await published;
    expect(requests.map(({ keys }) => keys)).toEqual([['one', 'two', 'three']]);
  });

  it('does not hold up a camera that has its next record ready when it hears of the one before', async () => {
    const { publish, requests } = publisherWith();
    const published = (async () => {
      for (let count = 0; count < 20; count += 1) await publish('file');
    })();
    await pass(19 * requestMs);
    expect(requests).toHaveLength(20);
    await pass(requestMs);
    await published;
  });

  it('does not hold it up where other cameras publish beside it either', async () => {
    const { publish, requests } = publisherWith();
    const others: Promise<void>[] = [];
    const published = (async () => {
      for (let count = 0; count < 40; count += 1) await publish('file');
    })();
    for (let camera = 0; camera < 30; camera += 1) {
      await pass(4);
      others.push(publish(`live-${String(camera)}`));
    }
    await pass(30);
    await Promise.all([published, ...others]);
    expect(requests.filter(({ keys }) => keys.includes('file')).at(-1)?.atMs).toBeLessThanOrEqual(40 * requestMs);
  });

  it('writes at once what comes after a pause', async () => {
    const { publish, requests } = publisherWith();
    for (let count = 1; count <= 3; count += 1) {
      const published = publish('camera');
      await pass(requestMs);
      await published;
      expect(requests).toHaveLength(count);
      await pass(200);
    }
  });

  it('waits no longer once a request is full', async () => {
    const { publish, requests } = publisherWith({ publishSpacingMs: 10_000, maxPublishBatchBytes: 2_400 });
    const first = publish('one');
    await pass(10);
    const second = publish('two', 1_000);
    await pass(10);
    expect(requests).toHaveLength(1);
    const third = publish('three', 1_000);
    await pass(10);
    await Promise.all([first, second, third]);
    expect(requests.flatMap(({ keys }) => keys)).toEqual(['one', 'two', 'three']);
  });

  it('writes what waits before it closes', async () => {
    const { publisher, publish, requests } = publisherWith({ publishSpacingMs: 10_000 });
    const first = publish('one');
    await pass(10);
    const second = publish('two');
    await pass(10);
    const closed = publisher.close();
    await pass(10);
    await Promise.all([first, second, closed]);
    expect(requests).toHaveLength(2);
  });
});
