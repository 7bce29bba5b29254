import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { DetectionFrame } from '#schemas';
import { shortSceneClip, shortSceneFrames } from '../support/demo-scene-clip.ts';
import { expectFailure, prepareRun, until, type E2eRun } from '../support/e2e-run.ts';
import { makeClip } from '../support/ingest-files.ts';
import { readDetections, readStatuses } from '../support/read-records.ts';
import { hasRtspServer, startRtspServer, type RtspServer, type RtspServerOptions } from '../support/rtsp-server.ts';
import { runSightline } from '../support/run-sightline.ts';
import { testDataPath } from '../support/test-data.ts';

const people = testDataPath('videos/one-by-one-person-detection.mp4');
const yoloxNano = testDataPath('models/yolox_nano.onnx');
const weights = yoloxNano === undefined ? undefined : path.dirname(yoloxNano);

async function serve(options: RtspServerOptions): Promise<RtspServer> {
  const server = await startRtspServer(options);
  onTestFinished(() => server.stop());
  return server;
}

async function expectProven(run: E2eRun): Promise<void> {
  const verify = await run.verify('--strict');
  expect(verify, verify.stdout).toMatchObject({ code: 0 });
  expect(await run.livingDecoders()).toEqual([]);
}

/** Microseconds of media time since the first record. */
function mediaTimes(records: readonly DetectionFrame[]): readonly number[] {
  const firstUs = records[0]?.header.pts_us ?? 0;
  return records.map(({ header }) => (header.pts_us ?? Number.NaN) - firstUs);
}

function boxes(record: DetectionFrame | undefined): readonly unknown[] {
  return (record?.objects ?? []).map(({ class_name, confidence, bbox }) => ({ class_name, confidence, bbox }));
}

describe.skipIf(!hasRtspServer())('sightline run on a real RTSP camera', () => {
  it.each(['h264', 'hevc', 'mjpeg'] as const)('sees in a stream of %s what it sees in its file', async (codec) => {
    const clip = await shortSceneClip(codec);
    const ofFile = await prepareRun();
    expect(await ofFile.run('--camera', `a=${clip}`, '--until-end')).toMatchObject({ code: 0 });
    const [fromFile] = await readDetections(ofFile.results);

    const server = await serve({ clip, loop: false });
    const ofStream = await prepareRun();
    const run = await ofStream.run('--camera', `a=${server.url}`, '--until-end', '--fps', '10', '--duration', '30');
    expect(run, run.stderr).toMatchObject({ code: 0 });
    const all = await readDetections(ofStream.results);
    // The last packets may be on their way when the server ends the session, and a busy machine is slow to read.
    expect(all.at(-1)?.header.frame_seq).toBeGreaterThan(shortSceneFrames / 2);
    const records = all.filter(({ decision }) => decision === 'ANALYSED');
    expect(records.length).toBeGreaterThan(shortSceneFrames / 4);
    for (const record of records) {
      expect(record).toMatchObject({ frame_width_px: 640, frame_height_px: 360 });
      expect(boxes(record)).toEqual(boxes(fromFile));
    }
    const statuses = await readStatuses(ofStream.results);
    expect(statuses.map(({ state, reason_code }) => `${state} ${reason_code}`)).toEqual([
      'CONNECTING NONE',
      'ONLINE NONE',
      'ENDED END_OF_STREAM',
    ]);
    expect(statuses[1]).toMatchObject({ codec, width_px: 640, height_px: 360 });
    await expectProven(ofStream);
  });

  it.skipIf(people === undefined || weights === undefined)(
    'counts as many people in each frame of the stream as in the same frame of its file',
    async () => {
      const ofFile = await prepareRun();
      const clip = makeClip(
        '-ss',
        '8',
        '-i',
        people ?? '',
        '-t',
        '8',
        '-an',
        '-c',
        'copy',
        path.join(ofFile.directory, 'c.mp4'),
      );
      const model = ['--model', 'yolox-nano', '--models-dir', weights ?? ''];
      // Every frame of the file, so that each one of the stream has its own to be compared with.
      const read = await ofFile.run(...model, '--camera', `a=${clip}`, '--until-end', '--fps', '10');
      expect(read, read.stderr).toMatchObject({ code: 0 });
      const fileRecords = await readDetections(ofFile.results);
      const fileTimes = mediaTimes(fileRecords);

      const server = await serve({ clip, loop: false });
      const ofStream = await prepareRun();
      const watched = await ofStream.run(...model, '--camera', `a=${server.url}`, '--until-end', '--duration', '40');
      expect(watched, watched.stderr).toMatchObject({ code: 0 });
      const streamRecords = (await readDetections(ofStream.results)).filter(({ decision }) => decision === 'ANALYSED');
      const differing = mediaTimes(streamRecords).flatMap((timeUs, index) => {
        // Half a frame of tolerance: the stream's clock has 1/90000 s, the file's its own.
        const twin = fileTimes.findIndex((fileTimeUs) => Math.abs(fileTimeUs - timeUs) < 50_000);
        const [ours, theirs] = [streamRecords[index]?.objects.length, fileRecords[twin]?.objects.length];
        return ours === theirs ? [] : [{ timeUs, stream: ours, file: theirs }];
      });
      expect(streamRecords.length).toBeGreaterThan(10);
      expect(fileRecords.some(({ objects }) => objects.length > 0)).toBe(true);
      expect(differing).toEqual([]);
      await expectProven(ofStream);
    },
  );

  it('knows the time of capture by the reports of the camera, within a stated error', async () => {
    const server = await serve({ clip: await shortSceneClip() });
    const run = await prepareRun();
    const before = Date.now() * 1000;
    const running = run.start('--camera', `a=${server.url}`);
    const isReported = (records: readonly DetectionFrame[]): boolean =>
      records.filter(({ header }) => header.capture_time_source === 'RTCP_SR').length >= 10;
    await until(() => readDetections(run.results).catch(() => []), isReported);
    running.child.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 0 });

    const headers = (await readDetections(run.results)).map(({ header }) => header);
    const times = headers.map(({ capture_time }) => capture_time);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
    for (const header of headers.filter(({ capture_time_source: source }) => source === 'RTCP_SR')) {
      const errorMs = header.capture_time_error_ms;
      expect(errorMs).toBeGreaterThanOrEqual(0);
      // The camera is this machine: what it says must lie in what we say. A second more, since a loaded machine sends late.
      expect(errorMs).toBeLessThan(5_000);
      expect(header.capture_time).toBeGreaterThan(before - ((errorMs ?? 0) + 1_000) * 1000);
      expect(header.capture_time).toBeLessThan(header.ingest_time + ((errorMs ?? 0) + 1_000) * 1000);
    }
    await expectProven(run);
  });

  it('drops the oldest frames, and counts them, where the model is too slow for a live camera', async () => {
    const server = await serve({ clip: await shortSceneClip() });
    const run = await prepareRun({ burden: 12 });
    const running = run.start('--camera', `a=${server.url}`, '--fps', '10', '--threads', '1');
    const dropped = (records: readonly DetectionFrame[]): number =>
      records.reduce((sum, { accounting }) => sum + (accounting.drops_by_reason.ring_full ?? 0), 0);
    await until(
      () => readDetections(run.results).catch(() => []),
      (records) => dropped(records) >= 5,
      60_000,
    );
    running.child.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 0 });
    await expectProven(run);
    const [camera] = (await run.report()).cameras;
    expect(camera?.drops_by_reason['ring_full']).toBe(dropped(await readDetections(run.results)));
    expect(camera?.frames_received).toBe(
      (camera?.frames_analysed ?? 0) + (camera?.frames_dropped ?? 0) + (camera?.frames_expired ?? 0),
    );
  });

  it('goes on in a new epoch after the camera died and came back', async () => {
    const clip = await shortSceneClip();
    const server = await serve({ clip });
    const run = await prepareRun();
    const running = run.start('--camera', `a=${server.url}`);
    const frames = (epoch: number) => async (): Promise<number> =>
      (await readDetections(run.results).catch(() => [])).filter(({ header }) => header.epoch >= epoch).length;
    await until(frames(1), (count) => count >= 3);
    await server.stop();
    await running.untilStderr('"OFFLINE"');
    await serve({ clip, port: server.port });
    await until(frames(2), (count) => count >= 3);
    running.child.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 0 });

    const statuses = await readStatuses(run.results);
    const states = statuses.map(({ state }) => state);
    expect(states.slice(0, 3)).toEqual(['CONNECTING', 'ONLINE', 'OFFLINE']);
    expect(states.slice(-2)).toEqual(['ONLINE', 'ENDED']);
    const offline = statuses.filter(({ state }) => state === 'OFFLINE');
    for (const status of offline) {
      expect(['END_OF_STREAM', 'UNREACHABLE', 'REFUSED', 'PROTOCOL', 'NO_VIDEO']).toContain(status.reason_code);
      expect(status.backoff_ms).toBeGreaterThan(0);
      expect(status.next_retry_at).toBeGreaterThan(status.time);
    }
    // The closed epoch is as long as its last record says.
    const lastOfFirst = (await readDetections(run.results)).findLast(({ header }) => header.epoch === 1);
    expect(offline[0]).toMatchObject({ epoch: 1, frame_seq: lastOfFirst?.header.frame_seq });
    const epochs = statuses.map(({ epoch }) => epoch);
    expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
    expect((await run.report()).cameras[0]?.reconnects).toBeGreaterThanOrEqual(1);
    await expectProven(run);
  });

  it('takes a stream by UDP', async () => {
    const server = await serve({ clip: await shortSceneClip() });
    const run = await prepareRun();
    const running = run.start('--camera', `a=${server.url}`, '--transport', 'udp');
    await until(
      async () => (await readDetections(run.results).catch(() => [])).length,
      (count) => count >= 5,
    );
    running.child.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 0 });
    const records = (await readDetections(run.results)).filter(({ decision }) => decision === 'ANALYSED');
    expect(new Set(records.map((record) => JSON.stringify(boxes(record)))).size).toBe(1);
    await expectProven(run);
  });

  it('says AUTH for a wrong password, and prints neither the wrong nor the right one', async () => {
    const server = await serve({ clip: await shortSceneClip(), user: 'viewer', password: 'r1ght-canary' });
    const run = await prepareRun();
    const url = server.urlWithCredentials.replace('r1ght-canary', 'wr0ng-canary');
    const ended = await run.run('--camera', `a=${url}`, '--duration', '2', '--log-level', 'debug');
    expectFailure(ended, 'SIGHTLINE_CAMERA_AUTH', 3);
    expect(ended.stderr + ended.stdout).not.toContain('canary');
    expect((await readStatuses(run.results)).find(({ state }) => state === 'OFFLINE')).toMatchObject({
      reason_code: 'AUTH',
      frame_seq: 0,
    });
    await expectProven(run);
  });

  it('says NOT_FOUND for a path that the camera does not know', async () => {
    const server = await serve({ clip: await shortSceneClip() });
    const run = await prepareRun();
    const ended = await run.run('--camera', `a=${server.url}-not`, '--until-end');
    expectFailure(ended, 'SIGHTLINE_CAMERA_NOT_FOUND', 3);
    expect(ended.stderr).toContain('camera a: ');
    await expectProven(run);
  });
});

describe('sightline run on a camera that is not there', () => {
  it('says that nothing listens at the port, and why it was still offline when the time was over', async () => {
    const run = await prepareRun();
    const ended = await run.run('--camera', `a=rtsp://127.0.0.1:${await closedPort()}/live`, '--duration', '2');
    expectFailure(ended, 'SIGHTLINE_CAMERA_REFUSED', 3);
    expect(ended.stderr).toMatch(/^error \[.*\]: camera a: (?!stopped$).*(refused|listens)/im);
    await expectProven(run);
  });

  it('says that a name cannot be resolved', async () => {
    const run = await prepareRun();
    // RFC 6761 keeps .invalid from ever being a name.
    const ended = await run.run('--camera', 'a=rtsp://camera.invalid/live', '--until-end');
    expectFailure(ended, 'SIGHTLINE_CAMERA_DNS', 3);
    await expectProven(run);
  });

  it('tries again while it may, and stops at once when told to', async () => {
    const run = await prepareRun();
    const running = run.start('--camera', `a=rtsp://127.0.0.1:${await closedPort()}/live`);
    await running.untilStderr(/"reconnects":[1-9]/);
    running.child.kill('SIGINT');
    expect(await running.finished).toMatchObject({ code: 0 });
    const epochs = (await readStatuses(run.results)).map(({ epoch }) => epoch);
    expect(new Set(epochs).size).toBeGreaterThan(1);
    expect((await runSightline(['results', 'verify', run.results])).code).toBe(0);
  });
});

async function closedPort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server that listens has an address of this kind.
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
