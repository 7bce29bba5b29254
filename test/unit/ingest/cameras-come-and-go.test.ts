import { describe, expect, test } from 'vitest';
import { AppError } from '#shared/core/errors';
import { createCameraSpec } from '../../../services/ingest/core/camera-spec.ts';
import { grayFrame, settle } from '../../support/ingest-doubles.ts';
import { ended, file, live, startedIngest } from '../../support/started-ingest.ts';

describe('a camera that is put again as it is', () => {
  test('goes on where it runs, and begins anew where it was refused or read to its end', async () => {
    const run = await startedIngest({ cameras: [], endsWithCameras: false });
    await run.service.put(live);
    await settle();
    await run.service.put(live);
    await settle();
    expect(run.connections).toHaveLength(1);
    run.latest().end({
      ...{ reason: 'POLICY', text: 'not allowed' },
      error: new AppError('SIGHTLINE_CAMERA_URL_INVALID', 'not allowed'),
    });
    await settle();
    expect(run.service.cameras()).toMatchObject([{ id: 'yard', state: 'REJECTED' }]);
    await run.service.put(live);
    await settle();
    expect(run.connections).toHaveLength(2);
    expect(run.service.cameras()).toMatchObject([{ id: 'yard', state: 'CONNECTING' }]);
  });
});

describe('cameras that come and go', () => {
  const gate = createCameraSpec({ id: 'gate', url: 'rtsp://camera.example/2' });
  const states = (run: Awaited<ReturnType<typeof startedIngest>>, id: string) =>
    run.statuses.filter(({ camera_id }) => camera_id === id).map(({ state, epoch }) => `${state} ${epoch}`);

  test('are read from the moment that they are put', async () => {
    const run = await startedIngest({ cameras: [], endsWithCameras: false });
    await run.service.put(live);
    await settle();
    void run.latest().sink.frame(grayFrame(0));
    await settle();
    expect(run.service.cameras()).toMatchObject([{ id: 'yard', state: 'ONLINE', epoch: 1 }]);
  });

  test('hand on their last frames and tell their end when they are removed, and leave the others alone', async () => {
    const run = await startedIngest({ cameras: [live, gate], endsWithCameras: false });
    const [yard, other] = run.connections;
    void yard?.sink.frame(grayFrame(0));
    void other?.sink.frame(grayFrame(0));
    void yard?.sink.frame(grayFrame(200));
    await run.service.remove('yard');
    expect(run.frames.filter(({ cameraId }) => cameraId === 'yard').map(({ frameSeq }) => frameSeq)).toEqual([1, 2]);
    expect(states(run, 'yard')).toEqual(['CONNECTING 1', 'ONLINE 1', 'ENDED 1']);
    expect(run.service.cameras()).toMatchObject([{ id: 'gate', state: 'ONLINE' }]);
    expect(other?.signal.aborted).toBe(false);
    await run.service.remove('yard');
  });

  test('leave no numbers of theirs behind', async () => {
    const run = await startedIngest({ cameras: [live, gate], endsWithCameras: false });
    for (const { sink } of run.connections)
      for (let index = 0; index < 20; index++) void sink.frame(grayFrame(index * 200));
    await settle();
    const camerasIn = (): (string | undefined)[] =>
      run.metrics.snapshot().flatMap(({ samples }) => samples.map(({ labels }) => labels['camera']));
    expect(camerasIn()).toContain('yard');
    await run.service.remove('yard');
    expect(new Set(camerasIn())).toEqual(new Set(['gate']));
  });

  test('are replaced where something about them changed: the old one ends, the new one has an epoch of its own', async () => {
    const run = await startedIngest({ cameras: [live], endsWithCameras: false });
    const old = run.latest();
    void old.sink.frame(grayFrame(0));
    await run.service.put({ ...live, fps: 2 });
    await settle();
    expect(states(run, 'yard')).toEqual(['CONNECTING 1', 'ONLINE 1', 'ENDED 1', 'CONNECTING 2']);
    expect(run.latest().camera.fps).toBe(2);
    expect(old.signal.aborted).toBe(true);
  });

  test('go on undisturbed where nothing about them changed', async () => {
    const run = await startedIngest({ cameras: [live], endsWithCameras: false });
    await run.service.put(createCameraSpec({ id: 'yard', url: 'rtsp://camera.example/1' }));
    expect(run.connections).toHaveLength(1);
    await run.service.put(createCameraSpec({ id: 'yard', url: 'rtsp://camera.example/1', password: 'new' }));
    expect(run.connections).toHaveLength(2);
  });

  test('are started once where they are put twice at the same time', async () => {
    const run = await startedIngest({ cameras: [], endsWithCameras: false });
    await Promise.all([run.service.put(live), run.service.put({ ...live })]);
    expect(run.connections).toHaveLength(1);
  });

  test('end up as they were put last, however fast the changes come', async () => {
    const run = await startedIngest({ cameras: [], endsWithCameras: false });
    const changes: Promise<void>[] = [];
    for (let fps = 1; fps <= 10; fps++) {
      changes.push(run.service.put({ ...live, fps }), run.service.remove('yard'));
    }
    changes.push(run.service.put({ ...live, fps: 11 }));
    await Promise.all(changes);
    await settle();
    expect(run.connections.filter(({ signal }) => !signal.aborted).map(({ camera }) => camera.fps)).toEqual([11]);
    expect(run.service.cameras()).toHaveLength(1);
  });

  test('are removed in the end where nobody takes their frames', async () => {
    const run = await startedIngest({
      cameras: [live],
      endsWithCameras: false,
      publishFrame: () => new Promise(() => undefined),
    });
    for (let index = 0; index < 3; index++) void run.latest().sink.frame(grayFrame(index * 200));
    await settle();
    const removed = run.service.remove('yard');
    await run.clock.advance(10_000);
    await removed;
    expect(run.service.cameras()).toEqual([]);
  });

  test('stand as rejected where they cannot be tried, until they are put again', async () => {
    const run = await startedIngest({ cameras: [gate], endsWithCameras: false });
    const error = new AppError('SIGHTLINE_SECRET_UNREADABLE', 'sealed with another key');
    await run.service.refuse('yard', error);
    await settle();
    expect(run.service.cameras()[1]).toMatchObject({
      id: 'yard',
      state: 'REJECTED',
      reason: 'AUTH',
      errorCode: 'SIGHTLINE_SECRET_UNREADABLE',
    });
    await run.service.put(live);
    await settle();
    expect(run.service.cameras()[1]).toMatchObject({ id: 'yard', state: 'CONNECTING', epoch: 2 });
  });

  test('do not end the service when all of them have ended', async () => {
    const run = await startedIngest({ cameras: [file], endsWithCameras: false });
    let isFinished = false;
    void run.service.finished.then(() => (isFinished = true));
    run.latest().end(ended);
    await settle();
    expect(isFinished).toBe(false);
    await run.service.drain();
    await run.service.put(live);
    expect(run.connections).toHaveLength(1);
  });
});
