import { describe, expect, test } from 'vitest';
import { readKafkaEnvironment } from '#shared/runtime/kafka-environment';

describe('Kafka in the environment', () => {
  test('is the default client without encryption where nothing is said', () => {
    expect(readKafkaEnvironment({ KAFKA_CLIENT: '', KAFKA_PORT: 'tcp://10.0.0.1:9092' })).toEqual({
      client: 'platformatic',
    });
  });

  test('gives user, mechanism, encryption and the user of the registry', () => {
    const environment = {
      KAFKA_CLIENT: 'kafkajs',
      KAFKA_TLS: 'true',
      KAFKA_TLS_SERVER_NAME: 'broker.lan',
      KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
      KAFKA_SASL_USERNAME: 'eva',
      KAFKA_SASL_PASSWORD: 'secret',
      SCHEMA_REGISTRY_USERNAME: 'r',
      SCHEMA_REGISTRY_PASSWORD: 's',
    };
    expect(readKafkaEnvironment(environment)).toEqual({
      client: 'kafkajs',
      tls: { insecure: false, serverName: 'broker.lan' },
      sasl: { mechanism: 'scram-sha-512', username: 'eva', password: 'secret' },
      registryCredentials: { username: 'r', password: 's' },
    });
  });

  test.each<[Record<string, string>, string]>([
    [{ KAFKA_CLIENT: 'rdkafka' }, 'KAFKA_CLIENT'],
    [{ KAFKA_SASL_USER: 'eva' }, 'KAFKA_SASL_USER'],
    [{ KAFKA_SASL_PASSWORD: 'secret' }, 'KAFKA_SASL_MECHANISM'],
    [{ KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_PASSWORD: 'secret' }, 'KAFKA_SASL_USERNAME'],
    [{ KAFKA_SASL_MECHANISM: 'gssapi' }, 'KAFKA_SASL_MECHANISM'],
    [{ KAFKA_TLS: 'perhaps' }, 'KAFKA_TLS'],
    [{ KAFKA_TLS: 'false', KAFKA_TLS_SERVER_NAME: 'a' }, 'KAFKA_TLS'],
    [{ KAFKA_TLS_CA: '/no/such/secret.pem' }, 'KAFKA_TLS_CA'],
    [{ SCHEMA_REGISTRY_PASSWORD: 'secret' }, 'SCHEMA_REGISTRY_USERNAME'],
  ])('that is wrong is refused by its name and without its value: %o', (environment, name) => {
    const read = (): unknown => readKafkaEnvironment(environment);
    expect(read).toThrow(expect.objectContaining({ code: 'SIGHTLINE_CONFIG_INVALID' }));
    expect(read).toThrow(name);
    expect(read).not.toThrow('secret');
  });
});
