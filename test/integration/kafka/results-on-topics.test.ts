import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createVerifyFold } from '../../../services/results/core/verify.ts';
import { schemaRegistryUnavailable, startSchemaRegistry, type SchemaRegistryServer } from '../../support/apicurio.ts';
import { demoSceneClip, sceneFramesAtFiveFps } from '../../support/demo-scene-clip.ts';
import { expectFailure, prepareRun, until } from '../../support/e2e-run.ts';
import { createTestTopics, kafkaClients, openTestBus } from '../../support/kafka-buses.ts';
import { startKafka, type KafkaServer } from '../../support/kafka-server.ts';
import { runSightline } from '../../support/run-sightline.ts';
import { createTopicsReader, type TopicRecords } from '../../support/read-topics.ts';

const noRegistry = schemaRegistryUnavailable();
if (noRegistry !== undefined) process.stderr.write(`${noRegistry}\n`);
// The broker and the registry are ended by these tests, so they have to be ours.
const isSkipped =
  noRegistry !== undefined ||
  inject('kafkaBrokers').length === 0 ||
  process.env['KAFKA_BROKERS'] !== undefined ||
  process.env['SCHEMA_REGISTRY_URL'] !== undefined;

/** The accounts of all records, each counted once. */
function verify({ detections, statuses }: TopicRecords) {
  const fold = createVerifyFold({ maxListedViolations: 5 });
  for (const { value } of statuses) fold.addStatus(value);
  const seen = new Set<string>();
  for (const { value } of detections) {
    if (seen.has(value.header.message_id)) continue;
    seen.add(value.header.message_id);
    fold.addDetection(value, 'topic');
  }
  return { report: fold.report(), distinct: seen.size, repeats: detections.length - seen.size };
}

describe.skipIf(isSkipped)('results on Kafka topics', () => {
  let kafka: KafkaServer;
  let registry: SchemaRegistryServer;
  beforeAll(async () => {
    [kafka, registry] = await Promise.all([startKafka(), startSchemaRegistry()]);
  }, 120_000);
  afterAll(() => Promise.all([kafka.stop(), registry.stop()]));

  const resultsUrl = (prefix: string, brokers = kafka.brokers): string =>
    `kafka://${brokers.join(',')}/?registry=${registry.url}&prefix=${prefix}&partitions=3`;

  describe.each(kafkaClients)('by %s', (client) => {
    it('hold every frame of a file once, under its camera, with a schema that may only grow', async () => {
      const prefix = `file-${client}`;
      const run = await prepareRun();
      const camera = ['--camera', `a=${await demoSceneClip()}`, '--camera', `b=${await demoSceneClip()}`];
      const ended = await runSightline([...run.arguments, ...camera, '--until-end', '--results', resultsUrl(prefix)], {
        ...run.environment,
        KAFKA_CLIENT: client,
      });
      expect(ended, ended.stderr).toMatchObject({ code: 0 });

      const read = await createTopicsReader(registry.url, prefix);
      const records = await read(client === 'kafkajs' ? 'platformatic' : 'kafkajs', kafka.brokers);
      const { report, distinct, repeats } = verify(records);
      expect(report.violations).toEqual([]);
      expect([distinct, repeats]).toEqual([2 * sceneFramesAtFiveFps, 0]);
      expect(report.cameras).toMatchObject([
        { camera_id: 'a', frames_received: sceneFramesAtFiveFps, open_epochs: 0 },
        { camera_id: 'b', frames_received: sceneFramesAtFiveFps, open_epochs: 0 },
      ]);
      for (const { key, value, headers } of records.detections) {
        expect(key).toBe(value.header.camera_id);
        expect(headers).toMatchObject({
          ce_id: value.header.message_id,
          ce_type: 'sightline.DetectionFrame',
          'content-type': 'application/avro',
        });
      }
      for (const { key, value } of records.statuses) expect(key).toBe(value.camera_id);
      for (const topic of ['detections', 'camera-status']) {
        const answer = await fetch(`${registry.url}/config/${prefix}.${topic}-value`);
        expect(await answer.json()).toEqual({ compatibilityLevel: 'FULL_TRANSITIVE' });
      }
      const bus = openTestBus('kafkajs', kafka.brokers);
      const description = await bus.admin.describeTopic(`${prefix}.camera-status`).finally(() => bus.close());
      expect(description).toMatchObject({ partitions: 3, config: { 'cleanup.policy': 'compact' } });
    });
  });

  it('go to topics that are there as they are', async () => {
    const bus = openTestBus('platformatic', kafka.brokers);
    await createTestTopics(bus, ['there.detections', 'there.camera-status'], 1).finally(() => bus.close());
    const run = await prepareRun();
    const camera = `a=${await demoSceneClip()}`;
    const ended = await run.run('--camera', camera, '--until-end', '--results', resultsUrl('there'));
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.stderr).toContain('there.detections: partitions is 1, wanted 3');
  });

  it('say at the start what is not as it has to be', async () => {
    const run = await prepareRun();
    const start = async (results: string) => run.run('--camera', `a=${await demoSceneClip()}`, '--results', results);
    expectFailure(await start(resultsUrl('none', ['127.0.0.1:9'])), 'SIGHTLINE_KAFKA_UNREACHABLE', 4);
    const [broker] = kafka.brokers;
    expectFailure(
      await start(`kafka://${String(broker)}/?registry=http://127.0.0.1:9`),
      'SIGHTLINE_REGISTRY_UNREACHABLE',
      4,
    );
    const foreign = { type: 'record', name: 'Other', fields: [{ name: 'a', type: 'int' }] };
    await fetch(`${registry.url}/subjects/taken.detections-value/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ schema: JSON.stringify(foreign) }),
    });
    const refused = await start(resultsUrl('taken'));
    expectFailure(refused, 'SIGHTLINE_REGISTRY_INCOMPATIBLE', 3);
    expect(refused.stderr).toContain('taken.detections-value');
  });

  it('are all there after the broker was killed and came back, with the registry gone', async () => {
    const prefix = 'killed';
    const read = await createTopicsReader(registry.url, prefix);
    const run = await prepareRun();
    const scene = await demoSceneClip();
    const cameras = ['--camera', `a=${scene}`, '--camera', `b=${scene}`, '--loop', '--fps', '10'];
    const running = run.start(...cameras, '--results', resultsUrl(prefix));
    await running.untilStderr('topic created');
    const [node] = kafka.nodes;
    if (node === undefined) throw new Error('no broker of ours');
    /** Undefined while the broker cannot say. */
    const end = async (): Promise<number | undefined> => {
      const bus = openTestBus('platformatic', kafka.brokers);
      try {
        const offsets = await bus.admin.offsets(`${prefix}.detections`);
        return [...offsets.values()].reduce((sum, { end: last }) => sum + Number(last), 0);
      } catch {
        return undefined;
      } finally {
        await bus.close();
      }
    };
    await until(end, (count = 0) => count > 20);
    await registry.stop();
    await node.kill();
    await running.untilStderr('Kafka does not take results');
    await node.restart();
    const before = (await until(end, (count) => count !== undefined)) ?? 0;
    await until(end, (count = 0) => count > before + 20);
    running.child.kill('SIGINT');
    const ended = await running.finished;
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.stderr).toContain('Kafka takes results again');

    const { report, distinct, repeats } = verify(await read('kafkajs', kafka.brokers));
    expect(report.violations, `${String(repeats)} repeats`).toEqual([]);
    expect(report.cameras).toMatchObject([
      { camera_id: 'a', open_epochs: 0 },
      { camera_id: 'b', open_epochs: 0 },
    ]);
    const told = (await run.report()).cameras.reduce((sum, camera) => sum + camera.frames_analysed, 0);
    expect(distinct).toBeGreaterThanOrEqual(told);
    process.stderr.write(`${String(distinct)} records through a kill of the broker, ${String(repeats)} repeated\n`);
  });
});
