import { describe, expect, it } from 'vitest';
import { AppError } from '#shared/core/errors';
import { isKafkaUrl, parseKafkaUrl } from '#shared/bus/kafka/kafka-url';

describe('parseKafkaUrl', () => {
  it('reads brokers, registry and prefix', () => {
    expect(parseKafkaUrl('kafka://a:9092,b:9093/?registry=http://r:8080&prefix=site.one')).toEqual({
      brokers: ['a:9092', 'b:9093'],
      registryUrl: 'http://r:8080',
      prefix: 'site.one',
    });
  });

  it('takes port 9092 and the prefix sightline where none are given', () => {
    expect(parseKafkaUrl('kafka://a,[::1]:9095')).toEqual({ brokers: ['a:9092', '[::1]:9095'], prefix: 'sightline' });
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
  ])('refuses %s and says why', (text, reason) => {
    expect(() => parseKafkaUrl(text)).toThrow(reason);
  });

  it('refuses a user and a password, and does not repeat them', () => {
    expect(() => parseKafkaUrl('kafka://eva:secret@a:9092')).toThrow(AppError);
    expect(() => parseKafkaUrl('kafka://eva:secret@a:9092')).not.toThrow('secret');
  });

  it('knows a Kafka address from a file', () => {
    expect(['kafka://a', 'kafka:a', 'kafka.avro', 'results/'].map(isKafkaUrl)).toEqual([true, true, false, false]);
  });
});
