import type { Kafka } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { createKafkajsAdmin } from '../../../services/shared/bus/kafka/kafkajs/kafkajs-admin.ts';

interface Answers {
  readonly positions: readonly { topic: string; partitions: readonly { partition: number; offset: string }[] }[];
  readonly offsets: readonly { partition: number; low: string; high: string }[];
}

function adminThatAnswers({ positions, offsets }: Answers) {
  const client = {
    connect: () => Promise.resolve(),
    fetchOffsets: () => Promise.resolve(positions),
    fetchTopicOffsets: () => Promise.resolve(offsets),
  };
  return createKafkajsAdmin({ admin: () => client } as unknown as Kafka);
}

describe('the admin of kafkajs', () => {
  it('gives the position of each partition, undefined where the group has none yet, and where the topic begins and ends', async () => {
    const partitions = [
      { partition: 0, offset: '7' },
      { partition: 1, offset: '-1' },
    ];
    const admin = adminThatAnswers({
      positions: [{ topic: 'numbers', partitions }],
      offsets: [{ partition: 0, low: '3', high: '9' }],
    });
    expect([...(await admin.committed('workers', 'numbers'))]).toEqual([
      [0, 7n],
      [1, undefined],
    ]);
    expect([...(await admin.offsets('numbers'))]).toEqual([[0, { first: 3n, end: 9n }]]);
  });

  it('does not take an answer without partitions, which the client gives just after a broker came back, for a group or a topic without records', async () => {
    const refusal = expect.objectContaining({ code: 'SIGHTLINE_KAFKA_FAILED', retryable: true }) as Error;
    for (const positions of [[], [{ topic: 'numbers', partitions: [] }]]) {
      const admin = adminThatAnswers({ positions, offsets: [] });
      await expect(admin.committed('workers', 'numbers')).rejects.toThrow(refusal);
      await expect(admin.offsets('numbers')).rejects.toThrow(refusal);
    }
  });
});
