import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
} from 'kafkajs';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import type { KafkaMessageBus } from '../../../services/shared/bus/kafka/kafka-message-bus.ts';
import { defaultKafkaTuning } from '../../../services/shared/bus/kafka/kafka-settings.ts';
import { openKafkaMessageBus } from '../../../services/shared/bus/kafka/open-kafka-bus.ts';
import { outgoing, type Topic } from '../../../services/shared/bus/message-bus.ts';
import { readKafkaEnvironment } from '../../../services/shared/runtime/kafka-environment.ts';
import { makeCertificates, type TestCertificates } from '../../support/certificates.ts';
import {
  createTestTopics,
  deadLettersTopic,
  jsonSerde,
  kafkaClients,
  openTestBus,
  silentLogger,
} from '../../support/kafka-buses.ts';
import { startKafka, type KafkaServer } from '../../support/kafka-server.ts';
import { runSightline } from '../../support/run-sightline.ts';

const isSkipped =
  inject('kafkaBrokers').length === 0 ||
  process.env['KAFKA_BROKERS'] !== undefined ||
  spawnSync('openssl', ['version']).error !== undefined;

const frames: Topic<number> = { name: 'frames' };
const results: Topic<number> = { name: 'results' };
const passwords = { ingest: 'one', kafkajs: 'two', platformatic: 'three', nobody: 'four' };

type Right = readonly [user: string, resource: AclResourceTypes, name: string, operation: AclOperationTypes];
const { TOPIC, GROUP, TRANSACTIONAL_ID, CLUSTER } = AclResourceTypes;
const { READ, WRITE, DESCRIBE, CLUSTER_ACTION } = AclOperationTypes;
/** As docs/kafka.md asks for; the user of an inference is named after its client. */
const rights: readonly Right[] = [
  ['ingest', TOPIC, frames.name, WRITE],
  ...kafkaClients.flatMap((user): Right[] => [
    [user, TOPIC, frames.name, READ],
    [user, TOPIC, results.name, WRITE],
    [user, TOPIC, deadLettersTopic, WRITE],
    [user, GROUP, 'workers', READ],
    [user, TRANSACTIONAL_ID, 'workers.', WRITE],
    [user, TRANSACTIONAL_ID, 'workers.', DESCRIBE],
  ]),
  ['platformatic', CLUSTER, 'kafka-cluster', CLUSTER_ACTION],
];

async function grant(brokers: readonly string[]): Promise<void> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    await admin.createAcls({
      acl: rights.map(([user, resourceType, resourceName, operation]) => ({
        ...{ resourceType, resourceName, operation, host: '*', principal: `User:${user}` },
        resourcePatternType:
          resourceType === TRANSACTIONAL_ID ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
        permissionType: AclPermissionTypes.ALLOW,
      })),
    });
  } finally {
    await admin.disconnect();
  }
}

// What a service is told by its environment, against a broker that asks for certificates, passwords and rights.
describe.skipIf(isSkipped)('a Kafka that is locked', () => {
  let folder: string;
  let certificates: TestCertificates;
  let server: KafkaServer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sightline-locks-'));
    certificates = await makeCertificates(folder);
    server = await startKafka({ secure: { keystoreFile: certificates.keystoreFile, users: passwords } });
    for (const [user, password] of Object.entries(passwords)) await writeFile(join(folder, user), `${password}\n`);
    await writeFile(join(folder, 'wrong'), 'something-else\n');
    const bus = openTestBus('platformatic', server.brokers);
    await createTestTopics(bus, [frames.name, results.name], 2);
    await bus.close();
    await grant(server.brokers);
  }, 120_000);
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const signIn = (user: keyof typeof passwords, changes: Readonly<Record<string, string>> = {}) => ({
    KAFKA_TLS_CA: certificates.caFile,
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_SASL_USERNAME: user,
    KAFKA_SASL_PASSWORD_FILE: join(folder, user),
    ...changes,
  });

  async function connect(
    environment: Readonly<Record<string, string>>,
    brokers: readonly string[] = server.secureBrokers,
  ): Promise<KafkaMessageBus> {
    const { client, tls, sasl } = readKafkaEnvironment(environment);
    const bus = await openKafkaMessageBus(
      client,
      { brokers, clientId: 'locked', ...(tls === undefined ? {} : { tls }), ...(sasl === undefined ? {} : { sasl }) },
      {
        serdeOf: () => jsonSerde,
        deadLettersTopic,
        tuning: { ...defaultKafkaTuning, connectTimeoutMs: 1_000, publishTimeoutMs: 2_000, joinTimeoutMs: 2_000 },
        logger: silentLogger,
      },
    );
    onTestFinished(() => bus.close());
    return bus;
  }

  describe.each(kafkaClients)('by %s', (client) => {
    const as: typeof signIn = (user, changes) => ({ KAFKA_CLIENT: client, ...signIn(user, changes) });

    it('lets every service do its work with the rights that the documentation asks for', async () => {
      const ingest = await connect(as('ingest'));
      const inference = await connect(as(client));
      const reader = openTestBus(client, server.brokers);
      onTestFinished(() => reader.close());
      const seen: number[] = [];
      await reader.consume(results, { group: `reader-${client}`, maxInFlight: 1 }, ({ value, key }) => {
        if (key === client) seen.push(value);
        return Promise.resolve();
      });
      await inference.process(frames, { group: 'workers', maxInFlight: 1 }, ({ key, value }) =>
        Promise.resolve([outgoing(results, key, value + 1)]),
      );
      await ingest.publish(frames, { key: client, value: 1 });
      await expect.poll(() => seen, { timeout: 20_000 }).toEqual([2]);
    });

    const lookUpFrames = (bus: KafkaMessageBus): Promise<unknown> => bus.admin.partitionCount(frames.name);
    const take = (group: string) => (bus: KafkaMessageBus) =>
      bus.process(frames, { group, maxInFlight: 1 }, () => Promise.resolve([]));
    it.each<[string, () => Promise<KafkaMessageBus>, (bus: KafkaMessageBus) => Promise<unknown>, string]>([
      [
        'a certificate that nobody known vouches for',
        () => connect(as('ingest', { KAFKA_TLS_CA: certificates.strangerCaFile })),
        lookUpFrames,
        'SIGHTLINE_KAFKA_TLS',
      ],
      [
        'a wrong password',
        () => connect(as('ingest', { KAFKA_SASL_PASSWORD_FILE: join(folder, 'wrong') })),
        lookUpFrames,
        'SIGHTLINE_KAFKA_AUTH',
      ],
      [
        'a way of signing in that the broker does not offer',
        () => connect(as('ingest', { KAFKA_SASL_MECHANISM: 'plain' })),
        lookUpFrames,
        'SIGHTLINE_KAFKA_AUTH',
      ],
      [
        'a topic that the user may not see',
        () => connect(as('nobody')),
        lookUpFrames,
        'SIGHTLINE_KAFKA_NOT_AUTHORISED',
      ],
      [
        'a topic that the user may not write to',
        () => connect(as(client)),
        (bus) => bus.publish(frames, { key: 'a', value: 1 }),
        'SIGHTLINE_KAFKA_NOT_AUTHORISED',
      ],
      [
        'a group that the user may not join',
        () => connect(as(client)),
        take('others'),
        // kafkajs keeps the reason why it finds no coordinator to itself.
        client === 'kafkajs' ? 'SIGHTLINE_KAFKA_FAILED' : 'SIGHTLINE_KAFKA_NOT_AUTHORISED',
      ],
      [
        'an address where no broker is',
        () => connect({ KAFKA_CLIENT: client }, ['127.0.0.1:1']),
        lookUpFrames,
        'SIGHTLINE_KAFKA_UNREACHABLE',
      ],
      [
        'a topic that is not there',
        () => connect({ KAFKA_CLIENT: client }, server.brokers),
        (bus) =>
          bus.process({ name: 'no-such-topic' }, { group: 'workers', maxInFlight: 1 }, () => Promise.resolve([])),
        'SIGHTLINE_KAFKA_TOPIC_MISSING',
      ],
    ])('names %s', async (_, open, act, code) => {
      const bus = await open();
      await expect(act(bus)).rejects.toMatchObject({ code });
    });
  });

  it('ends the start of a service with what is wrong and what to do, and without the password', async () => {
    const ended = await runSightline(['service', 'init'], {
      ...signIn('ingest', { KAFKA_SASL_PASSWORD_FILE: join(folder, 'wrong') }),
      KAFKA_BROKERS: server.secureBrokers.join(),
      SCHEMA_REGISTRY_URL: 'http://127.0.0.1:1',
    });
    expect(ended).toMatchObject({ code: 3 });
    expect(ended.stderr).toContain('SIGHTLINE_KAFKA_AUTH');
    expect(ended.stderr).toContain('Check KAFKA_SASL_MECHANISM');
    expect(ended.stderr).not.toContain('something-else');
  });
});
