import { readFileSync } from 'node:fs';
import type { KafkaClientName, KafkaSaslSettings, KafkaTlsSettings } from '#shared/bus/kafka/kafka-settings';
import { AppError } from '#shared/core/errors';

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
  const text = (name: string): string | undefined => {
    const value = environment[name];
    return value === undefined || value === '' ? undefined : value;
  };
  for (const name of Object.keys(environment)) {
    // Misspelt, it would leave the connection open to be read.
    if (/^KAFKA_(TLS|SASL)/.test(name) && !names.includes(name)) throw invalid(name, 'is not a known setting');
  }
  const isYes = (name: string): boolean => {
    const value = text(name)?.toLowerCase();
    if (value === undefined || ['false', '0', 'no', 'off'].includes(value)) return false;
    if (['true', '1', 'yes', 'on'].includes(value)) return true;
    throw invalid(name, 'must be true or false');
  };
  const content = (name: string): string | undefined => {
    const file = text(name);
    try {
      return file === undefined ? undefined : readFileSync(file, 'utf8');
    } catch (error) {
      throw invalid(name, 'names a file that cannot be read', error);
    }
  };
  const secret = (name: string): string | undefined => text(name) ?? content(`${name}_FILE`)?.replace(/\r?\n$/, '');

  const client = text('KAFKA_CLIENT') ?? 'platformatic';
  if (client !== 'platformatic' && client !== 'kafkajs')
    throw invalid('KAFKA_CLIENT', 'must be platformatic or kafkajs');

  const [ca, cert, key] = [content('KAFKA_TLS_CA'), content('KAFKA_TLS_CERT'), content('KAFKA_TLS_KEY')];
  const [passphrase, serverName] = [text('KAFKA_TLS_KEY_PASSPHRASE'), text('KAFKA_TLS_SERVER_NAME')];
  const insecure = isYes('KAFKA_TLS_INSECURE');
  const usesTls = isYes('KAFKA_TLS') || insecure || (ca ?? cert ?? key ?? serverName) !== undefined;
  if (usesTls && text('KAFKA_TLS') !== undefined && !isYes('KAFKA_TLS')) {
    throw invalid('KAFKA_TLS', 'is off while another KAFKA_TLS_ setting is given');
  }
  if ((cert === undefined) !== (key === undefined)) throw invalid('KAFKA_TLS_CERT', 'and KAFKA_TLS_KEY go together');

  const mechanismText = text('KAFKA_SASL_MECHANISM');
  const mechanism = mechanisms.find((known) => known === mechanismText?.toLowerCase());
  if (mechanismText !== undefined && mechanism === undefined) {
    throw invalid('KAFKA_SASL_MECHANISM', `must be one of ${mechanisms.join(', ')}`);
  }
  const [username, password] = [text('KAFKA_SASL_USERNAME'), secret('KAFKA_SASL_PASSWORD')];
  if (mechanism === undefined && (username ?? password) !== undefined) {
    throw invalid('KAFKA_SASL_MECHANISM', 'is missing beside a user name or password');
  }
  if (mechanism !== undefined && (username === undefined || password === undefined)) {
    throw invalid(username === undefined ? 'KAFKA_SASL_USERNAME' : 'KAFKA_SASL_PASSWORD', 'is missing');
  }
  const [registryUser, registryPassword] = [text('SCHEMA_REGISTRY_USERNAME'), secret('SCHEMA_REGISTRY_PASSWORD')];
  if ((registryUser === undefined) !== (registryPassword === undefined)) {
    throw invalid('SCHEMA_REGISTRY_USERNAME', 'and SCHEMA_REGISTRY_PASSWORD go together');
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

function invalid(name: string, reason: string, cause?: unknown): AppError {
  return new AppError(
    'SIGHTLINE_CONFIG_INVALID',
    `environment variable ${name} ${reason}`,
    cause === undefined ? {} : { cause },
  );
}
