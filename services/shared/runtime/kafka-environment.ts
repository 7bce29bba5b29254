import type { KafkaClientName, KafkaSaslSettings, KafkaTlsSettings } from '#shared/bus/kafka/kafka-settings';
import { invalidVariable, readEnvironment } from './environment-variables.ts';

/** How Kafka and its schema registry are reached, beside their addresses. */
export interface KafkaEnvironment {
  readonly client: KafkaClientName;
  readonly tls?: KafkaTlsSettings;
  readonly sasl?: KafkaSaslSettings;
  readonly registryCredentials?: { readonly username: string; readonly password: string };
}

const names = [
  ...['KAFKA_TLS', 'KAFKA_TLS_CA', 'KAFKA_TLS_CERT', 'KAFKA_TLS_KEY', 'KAFKA_TLS_KEY_PASSPHRASE'],
  ...['KAFKA_TLS_SERVER_NAME', 'KAFKA_TLS_INSECURE'],
  ...['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD', 'KAFKA_SASL_PASSWORD_FILE'],
];
const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

/**
 * Reads KAFKA_* and SCHEMA_REGISTRY_USERNAME, _PASSWORD: the variables that the tools around Kafka share, so they have no prefix of ours.
 * Throws SIGHTLINE_CONFIG_INVALID naming the variable, never its value.
 */
export function readKafkaEnvironment(environment: Readonly<Record<string, string | undefined>>): KafkaEnvironment {
  const { text, content, secret, yesOrNo } = readEnvironment(environment, /^KAFKA_(TLS|SASL)/, names);

  const client = text('KAFKA_CLIENT') ?? 'platformatic';
  if (client !== 'platformatic' && client !== 'kafkajs')
    throw invalidVariable('KAFKA_CLIENT', 'must be platformatic or kafkajs');

  const [ca, cert, key] = [content('KAFKA_TLS_CA'), content('KAFKA_TLS_CERT'), content('KAFKA_TLS_KEY')];
  const [passphrase, serverName] = [text('KAFKA_TLS_KEY_PASSPHRASE'), text('KAFKA_TLS_SERVER_NAME')];
  const insecure = yesOrNo('KAFKA_TLS_INSECURE') ?? false;
  const wanted = yesOrNo('KAFKA_TLS');
  const usesTls = wanted === true || insecure || (ca ?? cert ?? key ?? serverName) !== undefined;
  if (usesTls && wanted === false) {
    throw invalidVariable('KAFKA_TLS', 'is off while another KAFKA_TLS_ setting is given');
  }
  if ((cert === undefined) !== (key === undefined))
    throw invalidVariable('KAFKA_TLS_CERT', 'and KAFKA_TLS_KEY go together');

  const mechanismText = text('KAFKA_SASL_MECHANISM');
  const mechanism = mechanisms.find((known) => known === mechanismText?.toLowerCase());
  if (mechanismText !== undefined && mechanism === undefined) {
    throw invalidVariable('KAFKA_SASL_MECHANISM', `must be one of ${mechanisms.join(', ')}`);
  }
  const [username, password] = [text('KAFKA_SASL_USERNAME'), secret('KAFKA_SASL_PASSWORD')];
  if (mechanism === undefined && (username ?? password) !== undefined) {
    throw invalidVariable('KAFKA_SASL_MECHANISM', 'is missing beside a user name or password');
  }
  if (mechanism !== undefined && (username === undefined || password === undefined)) {
    throw invalidVariable(username === undefined ? 'KAFKA_SASL_USERNAME' : 'KAFKA_SASL_PASSWORD', 'is missing');
  }
  const [registryUser, registryPassword] = [text('SCHEMA_REGISTRY_USERNAME'), secret('SCHEMA_REGISTRY_PASSWORD')];
  if ((registryUser === undefined) !== (registryPassword === undefined)) {
    throw invalidVariable('SCHEMA_REGISTRY_USERNAME', 'and SCHEMA_REGISTRY_PASSWORD go together');
  }
  return {
    client,
    ...(usesTls
      ? {
          tls: {
            insecure,
            ...(ca === undefined ? {} : { ca }),
            ...(cert === undefined ? {} : { cert }),
            ...(key === undefined ? {} : { key }),
            ...(passphrase === undefined ? {} : { passphrase }),
            ...(serverName === undefined ? {} : { serverName }),
          },
        }
      : {}),
    ...(mechanism === undefined || username === undefined || password === undefined
      ? {}
      : { sasl: { mechanism, username, password } }),
    ...(registryUser === undefined || registryPassword === undefined
      ? {}
      : { registryCredentials: { username: registryUser, password: registryPassword } }),
  };
}
