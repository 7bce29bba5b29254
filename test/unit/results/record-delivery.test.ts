import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '#shared/core/error-catalogue';
import { AppError } from '#shared/core/errors';
import { RecordDelivery, type EncodedResult } from '../../../services/results/core/record-delivery.ts';
import { ManualClock, silentLogger } from '../../support/ingest-doubles.ts';

const record = (name: string, key = 'gate'): EncodedResult => ({
  topic: 't',
  key,
  value: Buffer.from(name),
  headers: {},
});
const trouble = (code: ErrorCode, retryable = true): AppError => new AppError(code, 'trouble', { retryable });
const away = trouble('SIGHTLINE_KAFKA_UNREACHABLE');

/** A broker that takes records, or answers what `answer` gives. */
function startDelivery(options: { readonly maxPendingBytes?: number } = {}) {
  const clock = new ManualClock();
  const arrived: string[] = [];
  const broker: { answer: (name: string) => Error | 'silence' | undefined } = { answer: () => undefined };
  const delivery = new RecordDelivery({
    publish: async ({ value }) => {
      const name = value.toString();
      const answer = broker.answer(name);
      if (answer === 'silence') await new Promise(() => undefined);
      if (answer instanceof Error) throw answer;
      arrived.push(name);
    },
    maxPendingBytes: options.maxPendingBytes ?? 1_000_000,
    clock,
    logger: silentLogger,
  });
  return { clock, arrived, broker, delivery };
}

describe('delivery to Kafka', () => {
  test('keeps the order', async () => {
    const { delivery, arrived } = startDelivery();
    for (const name of ['1', '2', '3']) await delivery.offer(record(name));
    await delivery.drain();
    expect(arrived).toEqual(['1', '2', '3']);
    expect(delivery.counts()).toEqual({ delivered: 3, deliveredBytes: 3, lost: 0 });
  });

  test('waits through an outage and goes on by itself, in order', async () => {
    const { delivery, arrived, broker, clock } = startDelivery();
    broker.answer = () => away;
    for (const name of ['1', '2', '3']) await delivery.offer(record(name));
    await clock.advance(3_600_000);
    expect(delivery.counts()).toEqual({ delivered: 0, deliveredBytes: 0, lost: 0 });
    broker.answer = () => undefined;
    await clock.advance(2_000);
    await delivery.drain();
    expect(arrived).toEqual(['1', '2', '3']);
  });

  test('sends again from the one that failed on within its camera, and only there', async () => {
    const { delivery, arrived, broker, clock } = startDelivery();
    let isFirst = true;
    broker.answer = (name) => {
      if (name !== 'a2' || !isFirst) return undefined;
      isFirst = false;
      return away;
    };
    await Promise.all([
      ...['a1', 'a2', 'a3'].map((name) => delivery.offer(record(name, 'a'))),
      delivery.offer(record('b1', 'b')),
    ]);
    await clock.advance(1_000);
    await delivery.drain();
    expect(arrived.filter((name) => name === 'b1')).toHaveLength(1);
    // The last time that each arrives is in order; a3 came once too early, with the same id.
    expect([...new Set(arrived.toReversed())].toReversed().filter((name) => name !== 'b1')).toEqual(['a1', 'a2', 'a3']);
  });

  test('takes no more than its room while the broker is away, and the waiting ones in their turn', async () => {
    const { delivery, arrived, broker, clock } = startDelivery({ maxPendingBytes: 1_200 });
    broker.answer = () => away;
    const accepted: string[] = [];
    const offers = ['1', '2', '3', '4', '5'].map(async (name) => {
      await delivery.offer(record(name));
      accepted.push(name);
    });
    await clock.advance(60_000);
    expect(accepted).toEqual(['1', '2', '3']);
    broker.answer = () => undefined;
    await clock.advance(2_000);
    await Promise.all(offers);
    await delivery.drain();
    expect(arrived).toEqual(['1', '2', '3', '4', '5']);
  });

  test('ends with the first trouble that no waiting helps against', async () => {
    const { delivery, broker } = startDelivery();
    broker.answer = () => trouble('SIGHTLINE_KAFKA_NOT_AUTHORISED', false);
    await delivery.offer(record('1'));
    await expect(delivery.drain()).rejects.toMatchObject({ code: 'SIGHTLINE_KAFKA_NOT_AUTHORISED' });
    await expect(delivery.offer(record('2'))).rejects.toMatchObject({ code: 'SIGHTLINE_KAFKA_NOT_AUTHORISED' });
    await expect(delivery.close(1_000)).rejects.toMatchObject({ code: 'SIGHTLINE_KAFKA_NOT_AUTHORISED' });
    expect(delivery.counts().lost).toBe(2);
  });

  test('gives a topic that is missing half a minute to appear', async () => {
    const { delivery, broker, clock } = startDelivery();
    broker.answer = () => trouble('SIGHTLINE_KAFKA_TOPIC_MISSING');
    await delivery.offer(record('1'));
    await clock.advance(25_000);
    await delivery.offer(record('2'));
    await clock.advance(10_000);
    await expect(delivery.offer(record('3'))).rejects.toMatchObject({ code: 'SIGHTLINE_KAFKA_TOPIC_MISSING' });
  });

  test.each<[string, Error | 'silence']>([
    ['refuses', away],
    ['is silent', 'silence'],
  ])('gives up at the end of closing where the broker %s, and counts what is lost', async (_what, answer) => {
    const { delivery, broker, clock } = startDelivery();
    broker.answer = () => answer;
    await delivery.offer(record('1'));
    const closed = delivery.close(3_000);
    closed.catch(() => undefined);
    await clock.advance(3_000);
    await expect(closed).rejects.toMatchObject({ code: 'SIGHTLINE_KAFKA_UNREACHABLE' });
    if (answer !== 'silence') expect(delivery.counts().lost).toBe(1);
  });
});
