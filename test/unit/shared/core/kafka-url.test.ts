import { describe, expect, it } from 'vitest';
import { AppError } from '#shared/core/errors';
import { isKafkaUrl, parseKafkaUrl } from '#shared/core/kafka-url';

describe('parseKafkaUrl', () => {
  it('reads brokers, registry and prefix', () => {
    expect(parseKafkaUrl('kafka://a:9092,b:9093/?registry=http://r:8080&prefix=site.one')).toEqual({
      brokers: ['a:9092', 'b:9093'],
      registryUrl: 'http://r:8080',
      prefix: 'site.one',
      partitions: 6,
      replicationFactor: 1,
    });
  });

  it('reads how topics are to be created', () => {
    expect(parseKafkaUrl('kafka://a/?partitions=12&replication=3')).toMatchObject({
      partitions: 12,
      replicationFactor: 3,
    });
  });

  it('takes port 9092 and the prefix sightline where none are given', () => {
    expect(parseKafkaUrl('kafka://a,[::1]:9095')).toMatchObject({
      brokers: ['a:9092', '[::1]:9095'],
      prefix: 'sightline',
    });
  });

  it.each([
    ['kafka://', 'a broker is missing'],
    ['kafka:a:9092', 'it has another form'],
    ['kafka://a:9092/topic', 'it has another form'],
    ['kafka://a:x', '"a:x" is not a broker'],
    ['kafka://a:70000', '"a:70000" is not a broker'],
    ['kafka://a,,b', 'a broker is missing'],
    ['kafka://a/?regstry=http://r', 'there is no parameter "regstry"'],
    ['kafka://a/?registry=r:8080', 'registry is not an http:// or https:// URL'],
    ['kafka://a/?prefix=one&prefix=two', 'prefix is there twice'],
    ['kafka://a/?prefix=a%20b', 'prefix is not what a topic may be called'],
    ['kafka://a/?prefix=..', 'prefix is not what a topic may be called'],
    ['kafka://a/?partitions=0', 'partitions is not a number from 1 to 9999'],
    ['kafka://a/?replication=two', 'replication is not a number from 1 to 9999'],
    ['kafka://a/?registry=http://r/?x=1', 'registry has a ? or # in it'],
  ])('refuses %s and says why', (text, reason) => {
    expect(() => parseKafkaUrl(text)).toThrow(reason);
  });

  it.each(['kafka://eva:secret@a:9092', 'kafka://a/?registry=http://eva:secret@r'])(
    'refuses a user and a password, and does not repeat them: %s',
    (text) => {
      expect(() => parseKafkaUrl(text)).toThrow(AppError);
      expect(() => parseKafkaUrl(text)).not.toThrow('secret');
    },
  );

  it('knows a Kafka address from a file', () => {
    expect(['kafka://a', 'kafka:a', 'kafka.avro', 'results/'].map(isKafkaUrl)).toEqual([true, true, false, false]);
  });
});
