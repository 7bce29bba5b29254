import { Base, type BaseOptions } from '@platformatic/kafka';
import type { KafkaConnectionSettings, KafkaTuning } from '../kafka-settings.ts';
import { failureOf } from './platformatic-errors.ts';

/** Options that every client of @platformatic/kafka shares. */
export function baseOptions(connection: KafkaConnectionSettings, tuning: KafkaTuning): BaseOptions {
  const { tls, sasl } = connection;
  const { insecure, serverName, ...context } = tls ?? {};
  return {
    clientId: connection.clientId,
    bootstrapBrokers: [...connection.brokers],
    connectTimeout: tuning.connectTimeoutMs,
    requestTimeout: tuning.requestTimeoutMs,
    timeout: tuning.requestTimeoutMs,
    autocreateTopics: false,
    metadataMaxAge: 60_000,
    retries: 12,
    retryDelay: retryDelay(tuning.retryInitialMs, 1_000),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            ...context,
            ...(insecure === true ? { rejectUnauthorized: false } : {}),
            ...(serverName === undefined ? {} : { servername: serverName }),
          },
          tlsServerName: serverName ?? true,
        }),
    ...(sasl === undefined
      ? {}
      : {
          sasl: {
            mechanism: sasl.mechanism.toUpperCase() as 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512', // the same names in capitals
            username: sasl.username,
            password: sasl.password,
          },
        }),
  };
}

/**
 * Short waits that double: the default of a second is what a transaction costs that meets the end of the one before it. A client keeps what it
 * knows of the brokers until it is told otherwise, and tries again with the same: one that was away when it asked would stay away for ever.
 */
export function retryDelay(firstMs: number, longestMs: number): Exclude<BaseOptions['retryDelay'], number | undefined> {
  return (client, _operation, attempt, _retries, error) => {
    const { network } = failureOf(error);
    if (network === true && client instanceof Base) client.clearMetadata();
    return Math.min(firstMs * 2 ** (attempt - 1), longestMs);
  };
}

/** Retries that fill `budgetMs`: short ones first, then one a second. */
export function retriesWithin(budgetMs: number): number {
  return 8 + Math.ceil(budgetMs / 1_000);
}
