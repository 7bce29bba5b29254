import { readFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFailed, onTestFinished } from 'vitest';
import type { DeadLetter } from '../../../services/shared/core/dead-letter.ts';
import { serviceTopics } from '../../../services/shared/bus/topics.ts';
import type { SampledFrame } from '../../../services/shared/core/frame.ts';
import { systemClock } from '../../../services/shared/runtime/system-clock.ts';
import { schemaRegistryUnavailable, startSchemaRegistry, type SchemaRegistryServer } from '../../support/apicurio.ts';
import { demoSceneClip, shortSceneClip } from '../../support/demo-scene-clip.ts';
import { until } from '../../support/e2e-run.ts';
import { firstEvent } from '../../support/first-event.ts';
import { quickSessionBroker } from '../../support/kafka-chaos.ts';
import { startKafka, type KafkaServer } from '../../support/kafka-server.ts';
import { hasRtspServer, startRtspServer } from '../../support/rtsp-server.ts';
import { runSightline, type RunningSightline } from '../../support/run-sightline.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';
import { healthUrl, prepareServices, readiness, stopService } from '../../support/service-processes.ts';
import { openTopicWriter } from '../../support/topic-writer.ts';
import { sampledJpeg } from '../../support/sampled-jpeg.ts';
import { startTcpLine } from '../../support/tcp-line.ts';

const isSkipped =
  schemaRegistryUnavailable() !== undefined ||
  inject('kafkaBrokers').length === 0 ||
  process.env['KAFKA_BROKERS'] !== undefined;

describe.skipIf(isSkipped)('the services over Kafka', () => {
  let kafka: KafkaServer;
  let registry: SchemaRegistryServer;
  beforeAll(async () => {
    [kafka, registry] = await Promise.all([startKafka({ config: quickSessionBroker }), startSchemaRegistry()]);
  }, 120_000);
  afterAll(() => Promise.all([kafka.stop(), registry.stop()]));
  const prepare = (prefix: string) => prepareServices(prefix, { brokers: kafka.brokers, registryUrl: registry.url });

  it('lose no frame, repeat none and keep their order when an inference and then the ingest are killed', async () => {
    const services = await prepare('killed');
    await services.init();
    const clip = await demoSceneClip();
    for (const id of ['a', 'b']) await services.camera('add', `${id}=${clip}`, '--loop', '--fps', '10');
    const [first, second] = [services.start('inference'), services.start('inference')];
    await Promise.all([first, second].map((service) => service.untilStderr('taking frames')));
    const ingest = services.start('ingest');
    await services.untilWritten(40);

    first.child.kill('SIGKILL');
    await first.finished;
    await services.untilWritten(60);
    ingest.child.kill('SIGKILL');
    await ingest.finished;
    await until(
      () => services.run.livingDecoders(),
      (decoders) => decoders.length === 0,
    );
    const next = services.start('ingest');
    await next.untilStderr('"state":"ONLINE"');
    await services.untilWritten(40);
    await stopService(next);
    await stopService(second);

    const report = await services.verify();
    expect(report.violations).toEqual([]);
    expect(report.cameras).toMatchObject([
      { camera_id: 'a', epochs: 2, closed_epochs: 1, frames_failed: 0 },
      { camera_id: 'b', epochs: 2, closed_epochs: 1, frames_failed: 0 },
    ]);
    for (const camera of report.cameras) expect(camera.frames_analysed).toBeGreaterThan(20);
    expect(await services.run.livingDecoders()).toEqual([]);
  });

  it('change their model under load by one command, and back, without losing or repeating a frame', async () => {
    const services = await prepare('rollout');
    await services.init();
    const models = path.dirname(services.run.model);
    await writeTinyModel(models, { name: 'other' });
    const clip = await demoSceneClip();
    for (const id of ['a', 'b']) await services.camera('add', `${id}=${clip}`, '--loop', '--fps', '10');
    const environment = { SIGHTLINE_MODELS_DIR: models };
    const inferences = [services.start('inference', environment), services.start('inference', environment)];
    const control = services.start('control', environment);
    await Promise.all(inferences.map((service) => service.untilStderr('taking frames')));
    await control.untilStderr('the cameras are known');
    const ingest = services.start('ingest');
    await services.untilWritten(30);

    const url = /"url":"([^"]+)"/.exec(control.output().stderr)?.[1] ?? '';
    const token = path.join(services.run.stateDir, 'local-token');
    for (const args of [
      ['shadow', 'other', '--share', '1'],
      ['promote', '--force'],
      ['rollback'],
      ['activate', 'other'],
    ]) {
      const step = await runSightline(['models', ...args, '--url', url, '--token-file', token]);
      expect(step, step.stderr).toMatchObject({ code: 0 });
      await services.untilWritten(25);
    }
    for (const service of [ingest, ...inferences, control]) await stopService(service);

    const report = await services.verify();
    expect(report.violations).toEqual([]);
    expect(report.shadows).toBeGreaterThan(0);
    for (const camera of report.cameras) expect(camera).toMatchObject({ epochs: 1, frames_failed: 0 });
    const records = await services.detections();
    const modelsOf = (role: string) =>
      [...new Set(records.filter(({ model }) => model.role === role).map(({ model }) => model.name))].sort();
    expect([modelsOf('PRIMARY'), modelsOf('SHADOW')]).toEqual([['other', 'tiny'], ['other']]);
    expect(records.filter(({ model }) => model.role === 'PRIMARY').at(-1)?.model.name).toBe('other');
  });

  it('share the cameras evenly over the ingests, and those of one that is killed go to the other', async () => {
    const services = await prepare('shared');
    await services.init();
    const clip = await demoSceneClip();
    const camera = { url: clip, loop: true, fps: 5 };
    await services.configure({ a: camera, b: camera, c: camera, d: camera });
    const inference = services.start('inference');
    await inference.untilStderr('taking frames');
    const taken = (ingest: RunningSightline): string[] =>
      [...ingest.output().stderr.matchAll(/"camera":"(\w)","msg":"taking the camera"/g)].map(([, id = '']) => id);
    const environment = { SIGHTLINE_LEASE_S: '1.5' };
    const first = services.start('ingest', environment);
    await until(
      () => Promise.resolve(taken(first)),
      (ids) => ids.length === 4,
    );
    await services.untilWritten(20);
    const second = services.start('ingest', environment);
    await until(
      () => Promise.resolve(taken(second)),
      (ids) => ids.length === 2,
    );
    await services.untilWritten(20);
    first.child.kill('SIGKILL');
    const killedMs = performance.now();
    await first.finished;
    await until(
      () => Promise.resolve(taken(second)),
      (ids) => ids.length === 4,
    );
    const movedMs = performance.now() - killedMs;
    process.stderr.write(`cameras of a killed ingest were taken over after ${String(Math.round(movedMs))} ms\n`);
    await services.untilWritten(20);
    await stopService(second);
    await stopService(inference);
    const report = await services.verify();
    expect(report.violations).toEqual([]);
    expect(report.cameras.map(({ epochs }) => epochs)).toEqual([2, 2, 2, 2]);
    expect(await services.run.livingDecoders()).toEqual([]);
  });

  it('wait for what is not there yet, and give every frame its record: poison, stale and repeated ones too', async () => {
    const services = await prepare('odd');
    let inference = services.start('inference');
    const waiting = await until(
      () => readiness(inference),
      ({ reason }) => reason?.includes('odd.frames') === true,
    );
    expect(waiting).toMatchObject({ ready: false });
    await services.init();
    await until(
      () => readiness(inference),
      ({ ready }) => ready,
    );

    const topics = serviceTopics('odd');
    const { bus, garbage } = await openTopicWriter({
      brokers: kafka.brokers,
      registryUrl: registry.url,
      prefix: 'odd',
    });
    try {
      const jpeg = await sharp({ create: { width: 64, height: 36, channels: 3, background: '#404040' } })
        .jpeg()
        .toBuffer();
      const frame = (epoch: number, frameSeq: number, data: Uint8Array = jpeg): SampledFrame =>
        sampledJpeg('a', epoch, frameSeq, data);
      const late = { ...frame(7, 3), deadlineMs: systemClock.monotonicMs() - 1_000 };
      const torn = frame(7, 2, jpeg.subarray(0, 200));
      const sent = [frame(3, 1), frame(7, 1), frame(3, 2), torn, garbage, late, frame(7, 4), frame(7, 4), frame(7, 5)];
      const send = async (frames: readonly unknown[]): Promise<void> => {
        for (const value of frames) await bus.publish({ name: topics.frames.name }, { key: 'a', value });
      };
      const upTo = (frameSeq: number) =>
        until(
          () => services.detections(),
          (records) => records.at(-1)?.header.frame_seq === frameSeq,
        );
      await send(sent);
      await upTo(5);
      // The next owner of the partition has not seen what these come after.
      await stopService(inference);
      inference = services.start('inference');
      await send([frame(7, 5), frame(3, 3), frame(7, 6)]);
      const detections = await upTo(6);
      const told = detections.map(({ header, decision, failure_code: code, accounting }) =>
        [`${header.epoch}/${header.frame_seq}`, decision, code, ...Object.keys(accounting.drops_by_reason)].filter(
          (part) => part !== null,
        ),
      );
      expect(told).toEqual([
        ['3/1', 'ANALYSED'],
        ['7/1', 'ANALYSED'],
        ['3/2', 'DROPPED', 'stale_epoch'],
        ['7/2', 'FAILED', 'SIGHTLINE_FRAME_UNDECODABLE'],
        ['7/3', 'EXPIRED'],
        ['7/4', 'ANALYSED'],
        ['7/5', 'ANALYSED'],
        ['3/3', 'DROPPED', 'stale_epoch'],
        ['7/6', 'ANALYSED'],
      ]);
      expect((await services.verify()).violations).toEqual([]);

      const letters: { readonly value: Buffer | null; readonly headers: Readonly<Record<string, string | Buffer>> }[] =
        [];
      await bus.consume<(typeof letters)[number]>(
        { name: topics.deadLetters },
        { group: 'odd-reader', maxInFlight: 1 },
        async ({ value }) => void letters.push(value),
      );
      await until(
        () => Promise.resolve(letters.length),
        (count) => count === 1,
      );
      expect(letters[0]?.value?.toString()).toBe('no record of ours');
      expect(letters[0]?.headers['sightline-reason-code']?.toString()).toBe('SIGHTLINE_RECORD_UNDECODABLE');

      // Written back as it was it comes here again, and is told apart from the first time.
      const listed = async (): Promise<readonly DeadLetter[]> =>
        JSON.parse(await services.command('dead-letters', 'list', '--json')) as readonly DeadLetter[]; // what it prints
      const [first] = await listed();
      expect(first).toMatchObject({ topic: 'odd.frames', key: 'a', replays: 0, replayedAtMs: null });
      await services.command('dead-letters', 'replay', first?.position ?? '');
      const [before, again] = await until(listed, (all) => all.length === 2);
      expect(before?.replayedAtMs).not.toBeNull();
      expect(again).toMatchObject({ topic: 'odd.frames', key: 'a', replays: 1, reasonCode: first?.reasonCode });
      expect(await services.command('dead-letters', 'replay', '--all')).toContain('1 would be written back');
    } finally {
      await bus.close();
    }
    await stopService(inference);
  });

  it('go on by themselves without the registry and after Kafka was killed and came back, and tell what was dropped', async () => {
    const registryPort = Number(new URL(registry.url).port);
    const line = await startTcpLine(registryPort);
    onTestFinished(() => line.close());
    const registryUrl = registry.url.replace(`:${registryPort}/`, `:${line.port}/`);
    const services = await prepareServices('outage', { brokers: kafka.brokers, registryUrl });
    await services.init();
    const clip = await demoSceneClip();
    await services.configure({ a: { url: clip, loop: true, fps: 10, max_age_s: 1 } });
    const inference = services.start('inference');
    await inference.untilStderr('taking frames');
    const ingest = services.start('ingest');
    await services.untilWritten(20);
    // From here on nobody reaches the registry: what runs has asked it what it needs, what starts waits.
    line.leadTo(1);
    const late = services.start('inference');
    await until(
      () => readiness(late),
      ({ reason }) => reason?.startsWith('schema registry') === true,
    );
    const [node] = kafka.nodes;
    if (node === undefined) throw new Error('no broker of ours');
    await node.kill();
    const waiting = await until(
      () => readiness(ingest),
      // Leases may notice first, which is a reason too.
      ({ reason }) => reason?.startsWith('Kafka does not take frames') === true,
    );
    expect(waiting.ready).toBe(false);
    // Longer than what may wait in a queue of four at ten a second.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await node.restart();
    await until(
      () => readiness(ingest),
      ({ ready }) => ready,
    );
    await services.untilWritten(20);
    line.leadTo(registryPort);
    await until(
      () => readiness(late),
      ({ ready }) => ready,
    );
    await stopService(late);
    await stopService(ingest);
    // The partitions are on their way back from the one that has left: the last frames come after that.
    const report = await until(
      () => services.verify(),
      ({ cameras }) => cameras[0]?.open_epochs === 0,
    );
    await stopService(inference);
    expect(report.violations).toEqual([]);
    expect(report.cameras).toMatchObject([{ camera_id: 'a', epochs: 1, closed_epochs: 1 }]);
    const drops = (await services.detections()).map(
      ({ accounting }) => accounting.drops_by_reason.bus_unavailable ?? 0,
    );
    expect(drops.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(5);
  }, 120_000);

  it.skipIf(!hasRtspServer())(
    'take a camera over HTTP, show who reads it, its results and its picture, and say when nobody reads it any more',
    async () => {
      const services = await prepare('control');
      const control = services.start('control', { SIGHTLINE_LEASE_S: '1' });
      const url = await healthUrl(control);
      const token = (await readFile(path.join(services.run.stateDir, 'local-token'), 'utf8')).trim();
      const get = async (at: string): Promise<{ readonly status: number; readonly body: Answer }> => {
        const answer = await fetch(`${url}/api/v1${at}`, { headers: { authorization: `Bearer ${token}` } });
        // Routes of our own, whose answers are objects.
        return { status: answer.status, body: (await answer.json()) as Answer };
      };

      // Nothing is there yet: it says so, and does not say that there are no cameras.
      const waiting = await until(
        () => fetch(`${url}/readyz`).then((answer) => answer.text()),
        (text) => text.includes('topic control.cameras'),
      );
      expect(waiting).toContain('"ready":false');
      expect(await get('/cameras')).toMatchObject({ status: 503, body: { code: 'SIGHTLINE_KAFKA_UNREACHABLE' } });

      await services.init();
      const inference = services.start('inference');
      const ingest = services.start('ingest', { SIGHTLINE_LEASE_S: '1' });
      onTestFailed(() => {
        for (const one of [control, ingest, inference]) process.stderr.write(one.output().stderr.slice(-3_000));
      });
      const camera = await startRtspServer({ clip: await shortSceneClip(), user: 'viewer', password: 's3cret-word' });
      onTestFinished(() => camera.stop());
      await until(
        () => fetch(`${url}/readyz`),
        ({ ok }) => ok,
      );
      const results = await fetch(`${url}/api/v1/results?camera=gate`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(results.status).toBe(404);

      const created = await fetch(`${url}/api/v1/cameras`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ id: 'gate', url: camera.urlWithCredentials, fps: 10 }),
      });
      const answer = await created.text();
      expect(created.status, answer).toBe(201);
      expect(JSON.parse(answer)).toMatchObject({ verdict: { usable: true, codec: 'h264' }, cost: null });

      const first = await firstEvent(`${url}/api/v1/results?camera=gate`, token, 'result');
      expect(first).toMatchObject({ header: { camera_id: 'gate' }, decision: 'ANALYSED' });
      const picture = await fetch(`${url}/api/v1/cameras/gate/snapshot.jpg`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(picture.headers.get('content-type')).toBe('image/jpeg');
      expect(Buffer.from(await picture.arrayBuffer()).subarray(0, 2)).toEqual(Buffer.from([0xff, 0xd8]));

      const shown = await until(
        () => get('/cameras/gate'),
        ({ body }) => body.status?.state === 'ONLINE',
      );
      expect(shown.body).toMatchObject({ has_credentials: true, placement: { is_attended: true, epoch: 1 } });
      expect((await get('/system')).body).toMatchObject({
        mode: 'distributed',
        capacity: null,
        services: [
          { name: 'control', ready: true },
          { name: expect.stringMatching(/^ingest /) as string },
          { name: expect.stringMatching(/^inference /) as string },
        ],
      });

      ingest.child.kill('SIGKILL');
      const alone = await until(
        () => get('/cameras/gate'),
        ({ body }) => body.status?.state === 'OFFLINE',
      );
      expect(alone.body).toMatchObject({
        status: { reason_text: expect.stringContaining('no ingest runs') as string },
        placement: { is_attended: false },
      });
      // The start of the killed ingest may have been told as the camera's first moments offline.
      const { items } = (await get('/events?camera=gate')).body as { readonly items?: readonly { kind: string }[] };
      const kinds = items?.map(({ kind }) => kind);
      expect(kinds?.at(-1)).toBe('registration.added');
      expect(kinds?.slice(0, 2)).toEqual(['camera.offline', 'camera.online']);
      await stopService(control);
      await stopService(inference);
      const told = control.output().stderr + inference.output().stderr + ingest.output().stderr + answer;
      expect(told).not.toContain('s3cret-word');
    },
  );
});

interface Answer {
  readonly status?: { readonly state: string } | null;
}
