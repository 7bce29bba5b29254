import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { DetectionFrame } from '#schemas';
import { ensureTopics } from '../../../services/shared/bus/kafka/topic-definition.ts';
import { schemaRegistryUnavailable, startSchemaRegistry, type SchemaRegistryServer } from '../../support/apicurio.ts';
import { openTestBus } from '../../support/kafka-buses.ts';
import { makeCameraStatus, makeDetectionFrame } from '../../support/result-records.ts';
import { runSightline, startSightline, type FinishedRun } from '../../support/run-sightline.ts';
import { writeToTopics } from '../../support/topic-records.ts';

const brokers = inject('kafkaBrokers');
const reason = schemaRegistryUnavailable();
if (reason !== undefined) process.stderr.write(`${reason}\n`);

let registry: SchemaRegistryServer;
let series = 0;

const frame = (camera: string, seq: number, epoch = 1): DetectionFrame =>
  makeDetectionFrame({ header: { camera_id: camera, frame_seq: seq, epoch } });
const frames = (camera: string, from: number, to: number): DetectionFrame[] =>
  Array.from({ length: to - from + 1 }, (_, index) => frame(camera, from + index));
const closed = (camera: string, seq: number): ReturnType<typeof makeCameraStatus> =>
  makeCameraStatus({ camera_id: camera, state: 'ENDED', frame_seq: seq });

/** Topics of the test's own. */
function topicsUrl(): string {
  series += 1;
  const prefix = `read-${String(process.pid)}-${String(series)}`;
  return `kafka://${brokers.join(',')}/?registry=${registry.url}&prefix=${prefix}`;
}

const results = (...args: readonly string[]): Promise<FinishedRun> => runSightline(['results', ...args]);
const linesOf = ({ stdout }: FinishedRun): DetectionFrame[] =>
  stdout
    .split('\n')
    .filter((line) => line.includes('"detection_frame"'))
    .map((line) => JSON.parse(line) as DetectionFrame);

describe.skipIf(brokers.length === 0 || reason !== undefined)('results on topics', () => {
  beforeAll(async () => {
    registry = await startSchemaRegistry();
  }, 180_000);
  afterAll(() => registry.stop());

  test('cat prints every record once, each camera in its order, and ends', async () => {
    const url = topicsUrl();
    const cameras = ['gate', 'yard', 'dock', 'roof'];
    await writeToTopics(
      url,
      Array.from({ length: 500 }, (_, index) => cameras.map((camera) => frame(camera, index + 1))).flat(),
      cameras.map((camera) => closed(camera, 500)),
    );
    const cat = await results('cat', url);
    expect(cat).toMatchObject({ code: 0, stderr: '' });
    expect(cat.stdout.split('\n')).toHaveLength(4 * 501 + 1);
    for (const camera of cameras) {
      const sequence = linesOf(cat).flatMap(({ header }) => (header.camera_id === camera ? [header.frame_seq] : []));
      expect(sequence).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
    }
    const one = await results('cat', '--camera', 'dock', '--limit', '3', url);
    expect(one.stdout.match(/"camera_id":"dock"/g)).toHaveLength(3);
    const stats = await results('stats', '--json', url);
    expect(JSON.parse(stats.stdout)).toMatchObject({
      topics: [expect.stringContaining('.camera-status'), expect.stringContaining('.detections')],
      cameras: cameras.toSorted().map((camera_id) => ({ camera_id, frames_received: 500 })),
    });
  });

  test('verify proves the accounting from the topics alone, and names what is missing', async () => {
    const url = topicsUrl();
    await writeToTopics(url, [...frames('gate', 1, 20), ...frames('yard', 1, 30)], [closed('gate', 20)]);
    const holds = await results('verify', url);
    expect(holds).toMatchObject({ code: 0 });
    expect(holds.stdout).toContain('accounting holds: 50 frames in 50 records of 2 cameras, 2 topics');
    await writeToTopics(url, [frame('yard', 32)]);
    const gap = await results('verify', url);
    expect(gap).toMatchObject({ code: 1 });
    expect(gap.stdout).toMatch(/gap: read-\d+-\d+\.detections\/\d, yard, epoch 1, frame 32: 2 frames since frame 30/);
  });

  test('a record that came again is a violation, or with --at-least-once counted', async () => {
    const url = topicsUrl();
    await writeToTopics(url, [...frames('gate', 1, 5), ...frames('gate', 4, 8)]);
    expect(await results('verify', url)).toMatchObject({ code: 1 });
    const counted = await results('verify', '--at-least-once', url);
    expect(counted).toMatchObject({ code: 0 });
    expect(counted.stdout).toContain('2 records came again');
  });

  test('--since and --until cut by the time of writing; what is left still proves itself', async () => {
    const url = topicsUrl();
    await writeToTopics(url, frames('gate', 1, 10));
    const from = new Date().toISOString();
    await writeToTopics(url, frames('gate', 11, 20), [closed('gate', 20)]);
    const to = new Date().toISOString();
    await writeToTopics(url, frames('gate', 21, 22));
    const cat = await results('cat', '--since', from, '--until', to, url);
    expect(linesOf(cat).map(({ header }) => header.frame_seq)).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    expect(await results('verify', '--strict', '--since', from, '--until', to, url)).toMatchObject({ code: 0 });
    expect(linesOf(await results('cat', '--since', '1h', url))).toHaveLength(22);
    expect((await results('cat', '--since', '0s', url)).stdout).toBe('');
  });

  test('a record that nobody can read is passed over by cat and named by verify', async () => {
    const url = topicsUrl();
    await writeToTopics(url, frames('gate', 1, 2));
    const bus = openTestBus('platformatic', brokers);
    const topic = `${new URLSearchParams(url.split('?')[1]).get('prefix') ?? ''}.detections`;
    await bus.publish({ name: topic }, { key: 'gate', value: 'not Avro' });
    await bus.close();
    await writeToTopics(url, [frame('gate', 3)]);
    const cat = await results('cat', url);
    expect(cat.code).toBe(1);
    expect(cat.stderr).toMatch(/\.detections\/\d: passed over offset 2: /);
    expect(linesOf(cat)).toHaveLength(3);
    const verify = await results('verify', url);
    expect(verify.code).toBe(1);
    expect(verify.stdout).toContain('unreadable: ');
  });

  test('what an open transaction holds back is not waited for', async () => {
    const url = topicsUrl();
    await writeToTopics(url, frames('gate', 1, 3));
    const topic = `${new URLSearchParams(url.split('?')[1]).get('prefix') ?? ''}.detections`;
    const producer = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).producer({
      transactionTimeout: 10_000,
      transactionalId: `open-${String(process.pid)}`,
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    try {
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [{ key: 'gate', value: 'open' }] });
      const cat = await results('cat', url);
      expect(cat).toMatchObject({ code: 0, stderr: '' });
      expect(linesOf(cat)).toHaveLength(3);
      await transaction.abort();
      expect(await results('verify', url)).toMatchObject({ code: 0 });
    } finally {
      await producer.disconnect();
    }
  });

  test('tail prints what comes, for people and as JSON lines, and ends with 0 when it is interrupted', async () => {
    const url = topicsUrl();
    await writeToTopics(url, frames('gate', 1, 2));
    const people = startSightline(['results', 'tail', url]);
    const json = startSightline(['results', 'tail', '--json', '--camera', 'yard', '--since', '1h', url]);
    await Promise.all([people.untilStderr('following '), json.untilStderr('following ')]);
    await writeToTopics(url, [frame('gate', 3), frame('yard', 1)], [closed('gate', 3)]);
    await expect
      .poll(() => [people.output().stdout.split('\n').length, json.output().stdout.split('\n').length], {
        timeout: 20_000,
      })
      .toEqual([4, 2]);
    people.child.kill('SIGINT');
    json.child.kill('SIGINT');
    const [text, lines] = await Promise.all([people.finished, json.finished]);
    expect([text.code, lines.code]).toEqual([0, 0]);
    expect(text.stdout.split('\n').toSorted()).toEqual([
      '',
      '2026-11-23T06:00:00.000Z  gate  camera ENDED',
      '2026-11-23T06:00:00.200Z  yard  person 1',
      '2026-11-23T06:00:00.600Z  gate  person 1',
    ]);
    expect(JSON.parse(lines.stdout)).toMatchObject({ type: 'detection_frame', header: { camera_id: 'yard' } });
  });

  test.each([
    ['a topic that is not there', () => topicsUrl(), 4, 'SIGHTLINE_KAFKA_TOPIC_MISSING'],
    ['no registry', () => `kafka://${brokers.join(',')}`, 2, 'SIGHTLINE_KAFKA_URL_INVALID'],
    ['no broker', () => `kafka://127.0.0.1:1/?registry=${registry.url}`, 4, 'SIGHTLINE_KAFKA_UNREACHABLE'],
  ])('%s is one clear error', async (_case, url, code, name) => {
    const run = await results('verify', url());
    expect(run).toMatchObject({ code, stdout: '' });
    expect(run.stderr).toContain(`error [${name}]`);
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(2);
  });

  test('files and topics do not mix, files have no times, and only topics are followed', async () => {
    const runs = await Promise.all([
      results('cat', 'a.avro', 'kafka://127.0.0.1:1/?registry=http://127.0.0.1:1'),
      results('cat', '--since', '10m', 'a.avro'),
      results('tail', 'a.avro'),
    ]);
    expect(runs.map(({ code }) => code)).toEqual([2, 2, 2]);
    expect(runs.map(({ stderr }) => stderr.split('\n')[0])).toEqual([
      expect.stringContaining('stands alone'),
      expect.stringContaining('are for topics'),
      expect.stringContaining('only topics can be followed'),
    ]);
  });

  test('the beginning of a topic that retention took away does not look like a loss', async () => {
    const url = topicsUrl();
    const prefix = new URLSearchParams(url.split('?')[1]).get('prefix') ?? '';
    const bus = openTestBus('platformatic', brokers);
    const common = { partitions: 1, replicationFactor: 1, minInSyncReplicas: 1, cleanup: 'delete' } as const;
    await ensureTopics(bus.admin, [{ ...common, name: `${prefix}.detections` }]);
    await bus.close();
    await writeToTopics(url, frames('gate', 1, 10));
    const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.fetchTopicOffsets(`${prefix}.detections`); // it deletes only of topics that it knows
    await admin.deleteTopicRecords({ topic: `${prefix}.detections`, partitions: [{ partition: 0, offset: '4' }] });
    await admin.disconnect();
    expect(linesOf(await results('cat', url)).map(({ header }) => header.frame_seq)).toEqual([5, 6, 7, 8, 9, 10]);
    expect(await results('verify', url)).toMatchObject({ code: 0 });
  });
});
