import { hostname } from 'node:os';
import type { Clock } from '#shared/core/clock';
import type { Logger } from '#shared/core/logger';
import { readKafkaEnvironment } from '#shared/runtime/kafka-environment';
import type { KafkaDestination } from '../../services/results/core/destination.ts';
import type { ResultsWriter } from '../../services/results/core/ports.ts';
import { createKafkaResultsWriter } from '../../services/results/kafka-results-writer.ts';

export interface KafkaResultsOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Results on Kafka, signed in as the environment says. A module of its own, so that a run without Kafka loads nothing of it. */
export function createKafkaResults(
  destination: KafkaDestination,
  { environment, clock, logger }: KafkaResultsOptions,
): ResultsWriter {
  const { client, tls, sasl, registryCredentials } = readKafkaEnvironment(environment);
  return createKafkaResultsWriter({
    destination,
    client,
    connection: {
      clientId: `sightline-run-${hostname()}-${process.pid}`,
      ...(tls === undefined ? {} : { tls }),
      ...(sasl === undefined ? {} : { sasl }),
    },
    ...(registryCredentials === undefined ? {} : { registryCredentials }),
    clock,
    logger,
  });
}
