import { hostname } from 'node:os';
import type { ProducerRecord } from '#schemas';
import type { KafkaMessageBus } from '#shared/bus/kafka/kafka-message-bus';
import { defaultKafkaTuning, type KafkaConnectionSettings, type KafkaTuning } from '#shared/bus/kafka/kafka-settings';
import { openKafkaMessageBus } from '#shared/bus/kafka/open-kafka-bus';
import type { SerdeOfTopic } from '#shared/bus/kafka/serde';
import type { TopicReader } from '#shared/bus/kafka/topic-reader';
import { createPlatformaticTopicReader } from '#shared/bus/kafka/platformatic/platformatic-topic-reader';
import { serviceTopics, type ServiceTopics } from '#shared/bus/topics';
import { createSchemaRegistry } from '#shared/codec/schema-registry';
import { createTopicSerdes, type TopicSerdes } from '#shared/codec/topic-serdes';
import type { Clock } from '#shared/core/clock';
import { AppError, toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { readKafkaEnvironment } from '#shared/runtime/kafka-environment';
import { addressesOf, type Environment, type ServiceSettings } from './service-settings.ts';

export interface ServiceConnectionOptions {
  readonly settings: ServiceSettings;
  readonly environment: Environment;
  readonly producer: ProducerRecord;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Kafka and the registry as a service uses them. Made without asking either; `ready()` waits for both. */
export interface ServiceConnection {
  readonly bus: KafkaMessageBus;
  readonly topics: ServiceTopics;
  readonly serdes: TopicSerdes;
  /** Why it waits, in words; undefined while it does not. */
  readonly waitsFor: string | undefined;
  /**
   * Resolves when the registry has our schemas and the topics are there; waits for either as long as it takes and says in `waitsFor` what
   * for. Rejects for what no waiting helps against, and with the signal's reason.
   */
  ready(topics: readonly string[], signal: AbortSignal): Promise<void>;
  /** Does the work again, with pauses, until it succeeds or no waiting helps. */
  persist<T>(what: string, work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Another bus to the same brokers, with other serdes; the caller closes it. */
  openBus(serdeOf: SerdeOfTopic): Promise<KafkaMessageBus>;
  /** Reads topics without a group; the caller closes it. */
  readonly openReader: () => TopicReader;
  close(): Promise<void>;
}

const firstPauseMs = 200;
const longestPauseMs = 2_000;

export async function openServiceConnection(options: ServiceConnectionOptions): Promise<ServiceConnection> {
  const { settings, environment, producer, clock, logger } = options;
  const { brokers, registryUrl } = addressesOf(settings);
  const { client, tls, sasl, registryCredentials } = readKafkaEnvironment(environment);
  const topics = serviceTopics(settings.topics.prefix);
  const registry = createSchemaRegistry({
    url: registryUrl,
    ...(registryCredentials === undefined ? {} : { credentials: registryCredentials }),
  });
  const serdes = createTopicSerdes(topics, { registry, producer, clock });
  const connection: KafkaConnectionSettings = {
    brokers,
    clientId: `sightline-${producer.service}-${hostname()}-${process.pid}`,
    ...(tls === undefined ? {} : { tls }),
    ...(sasl === undefined ? {} : { sasl }),
  };
  const tuning = tuningOf(settings);
  const openBus = (serdeOf: SerdeOfTopic): Promise<KafkaMessageBus> =>
    openKafkaMessageBus(client, connection, { serdeOf, deadLettersTopic: topics.deadLetters, tuning, logger });
  const bus = await openBus(serdes.serdeOf);
  let waitsFor: string | undefined = 'the service has not started';

  async function persist<T>(what: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    let pauseMs = firstPauseMs;
    let told = '';
    for (;;) {
      signal.throwIfAborted();
      try {
        const result = await work();
        if (told !== '') logger.info({ what }, 'goes on');
        waitsFor = undefined;
        return result;
      } catch (thrown) {
        const error = toAppError(thrown);
        if (!error.retryable && error.code !== 'SIGHTLINE_KAFKA_TOPIC_MISSING') throw error;
        waitsFor = `${what}: ${error.message}`;
        if (told !== error.code) logger.warn({ code: error.code, reason: error.message }, `waiting: ${what}`);
        told = error.code;
      }
      await clock.sleep(pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, longestPauseMs);
    }
  }

  return {
    bus,
    topics,
    serdes,
    get waitsFor() {
      return waitsFor;
    },
    persist,
    async ready(names, signal) {
      for (const name of names) {
        await persist(
          `topic ${name}`,
          async () => {
            try {
              // Only whether it is there: to describe it would take a right that a service has no other use for.
              await bus.admin.partitionCount(name);
            } catch (error) {
              if (toAppError(error).code !== 'SIGHTLINE_KAFKA_TOPIC_MISSING') throw error;
              const words = `${name} is not there yet: sightline service init makes it`;
              throw new AppError('SIGHTLINE_KAFKA_TOPIC_MISSING', words, { cause: error });
            }
          },
          signal,
        );
      }
      await persist('schema registry', () => serdes.register(), signal);
    },
    openBus,
    openReader: () => createPlatformaticTopicReader(connection, tuning),
    close: () => bus.close(),
  };
}

function tuningOf({ session_timeout_s: sessionS }: ServiceSettings): KafkaTuning {
  const sessionTimeoutMs = Math.round(sessionS * 1000);
  return {
    ...defaultKafkaTuning,
    sessionTimeoutMs,
    heartbeatIntervalMs: Math.max(
      100,
      Math.min(defaultKafkaTuning.heartbeatIntervalMs, Math.round(sessionTimeoutMs / 4)),
    ),
    // Whoever waits for an outcome has to hear of it while frames are still fresh; the publisher of frames tries again by itself.
    requestTimeoutMs: 5_000,
    publishTimeoutMs: 5_000,
  };
}
