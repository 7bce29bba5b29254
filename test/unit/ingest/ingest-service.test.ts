import { describe, expect, test } from 'vitest';
import { AppError } from '#shared/core/errors';
import { createCameraSpec } from '../../../services/ingest/core/camera-spec.ts';
import {
  accountingGaps,
  grayFrame,
  ingestHarness,
  ManualClock,
  scriptedSources,
  settle,
} from '../../support/ingest-doubles.ts';
import { ended, file, live, refused, startedIngest } from '../../support/started-ingest.ts';

describe('ingest of a live camera', () => {
  test('tells of each change of state once, with the epoch that it speaks of', async () => {
    const run = await startedIngest({ cameras: [live] });
    void run.latest().sink.frame(grayFrame(0));
    void run.latest().sink.frame(grayFrame(200));
    await settle();
    run.latest().end(ended);
    await run.clock.advance(1_000);
    void run.latest().sink.frame(grayFrame(0));
    await settle();
    expect(
      run.statuses.map(({ state, reason_code, epoch, frame_seq }) => [state, reason_code, epoch, frame_seq]),
    ).toEqual([
      ['CONNECTING', 'NONE', 1, 0],
      ['ONLINE', 'NONE', 1, 1],
      ['OFFLINE', 'END_OF_STREAM', 1, 2],
      ['CONNECTING', 'NONE', 2, 0],
      ['ONLINE', 'NONE', 2, 1],
    ]);
    expect(run.service.cameras()[0]).toMatchObject({ reconnects: 1, received: 3, handedOn: 3 });
    expect(new Set(run.statuses.map(({ message_id }) => message_id)).size).toBe(5);
  });

  test('waits longer after each refusal and says when it tries again', async () => {
    const run = await startedIngest({ cameras: [live] });
    for (const waitMs of [999, 1998, 3996]) {
      run.latest().end(refused);
      await settle();
      expect(run.statuses.at(-1)).toMatchObject({ state: 'OFFLINE', reason_code: 'REFUSED', backoff_ms: waitMs });
      const attempts = run.connections.length;
      await run.clock.advance(waitMs - 1);
      expect(run.connections).toHaveLength(attempts);
      await run.clock.advance(1);
      expect(run.connections).toHaveLength(attempts + 1);
    }
  });

  test('gives up a silent stream as stalled and connects again', async () => {
    const run = await startedIngest({ cameras: [live] });
    void run.latest().sink.frame(grayFrame(0));
    await run.clock.advance(14_000);
    expect(run.latest().signal.aborted).toBe(false);
    await run.clock.advance(1_000);
    expect(run.statuses.at(-1)).toMatchObject({ state: 'OFFLINE', reason_code: 'STALLED', epoch: 1 });
    await run.clock.advance(1_000);
    expect(run.statuses.at(-1)).toMatchObject({ state: 'CONNECTING', epoch: 2 });
  });

  test('tells a stream without a decodable picture from one that does not come', async () => {
    const run = await startedIngest({ cameras: [live] });
    run.latest().sink.facts({ codec: 'h264', widthPx: 640, heightPx: 480, declaredFps: 25, durationMs: null });
    await run.clock.advance(15_000);
    expect(run.statuses.at(-1)).toMatchObject({ state: 'OFFLINE', reason_code: 'NO_KEYFRAME', codec: 'h264' });
  });

  test('lets the newest frames win over a slow reader and counts each one that gave way', async () => {
    const gate = Promise.withResolvers<void>();
    const run = await startedIngest({ cameras: [live], publishFrame: () => gate.promise });
    for (let index = 0; index < 20; index++) void run.latest().sink.frame(grayFrame(index * 200));
    await settle();
    expect(run.service.cameras()[0]).toMatchObject({ received: 20, dropped: { ring_full: 15 } });
    gate.resolve();
    await settle();
    expect(run.frames.map(({ frameSeq }) => frameSeq)).toEqual([1, 17, 18, 19, 20]);
    expect(accountingGaps(run.frames)).toEqual([]);
  });

  test('counts frames that nobody would take, and tells of them in a closing frame', async () => {
    let isDown = true;
    const publishFrame = async (): Promise<void> => {
      if (isDown) throw new Error('bus is down');
    };
    const run = await startedIngest({ cameras: [live], publishFrame });
    for (let index = 0; index < 3; index++) {
      void run.latest().sink.frame(grayFrame(index * 200));
      await settle();
    }
    isDown = false;
    run.latest().end(ended);
    await settle();
    expect(run.frames).toHaveLength(1);
    expect(run.frames[0]).toMatchObject({
      frameSeq: 3,
      fate: 'dropped',
      image: null,
      accounting: { drops_by_reason: { bus_unavailable: 3 } },
    });
    expect(accountingGaps(run.frames)).toEqual([]);
  });

  test('gives a frame a deadline counted from its arrival', async () => {
    const run = await startedIngest({ cameras: [live] });
    await run.clock.advance(500);
    void run.latest().sink.frame(grayFrame(0));
    await settle();
    expect(run.frames[0]?.deadlineMs).toBe(2_500);
  });

  test('says that a picture is black, and that it is well again', async () => {
    const run = await startedIngest({ cameras: [live] });
    for (let atMs = 0; atMs <= 6_000; atMs += 200) void run.latest().sink.frame(grayFrame(atMs, 0));
    await settle();
    expect(run.statuses.at(-1)).toMatchObject({ state: 'DEGRADED', reason_code: 'DARK', previous_state: 'ONLINE' });
    void run.latest().sink.frame(grayFrame(6_200, 120));
    await settle();
    expect(run.statuses.at(-1)).toMatchObject({ state: 'ONLINE', reason_code: 'NONE', previous_state: 'DEGRADED' });
  });

  test('says that a picture is frozen, and that it moves again', async () => {
    const run = await startedIngest({ cameras: [live] });
    for (let atMs = 0; atMs <= 31_000; atMs += 200) void run.latest().sink.frame(grayFrame(atMs, 100));
    await settle();
    expect(run.statuses.at(-1)).toMatchObject({ state: 'DEGRADED', reason_code: 'FROZEN' });
    void run.latest().sink.frame(grayFrame(31_200, 103));
    await settle();
    expect(run.statuses.at(-1)).toMatchObject({ state: 'ONLINE' });
  });

  test('is rejected for good where trying again cannot help', async () => {
    const run = await startedIngest({ cameras: [live] });
    const error = new AppError('SIGHTLINE_CAMERA_NOT_ALLOWED', 'not allowed');
    run.latest().end({ reason: 'NOT_ALLOWED', text: 'not allowed', error });
    await run.service.finished;
    expect(run.statuses.at(-1)).toMatchObject({ state: 'REJECTED', reason_code: 'NOT_ALLOWED' });
    expect(run.service.cameras()[0]?.errorCode).toBe('SIGHTLINE_CAMERA_NOT_ALLOWED');
  });

  test('does not suffer from the failure of another camera', async () => {
    const other = createCameraSpec({ id: 'gate', url: 'rtsp://camera.example/2' });
    const run = await startedIngest({ cameras: [live, other] });
    run.connections.find(({ camera }) => camera.id === 'gate')?.end(refused);
    void run.connections.find(({ camera }) => camera.id === 'yard')?.sink.frame(grayFrame(0));
    await settle();
    expect(run.service.cameras().map(({ id, state }) => [id, state])).toEqual([
      ['yard', 'ONLINE'],
      ['gate', 'OFFLINE'],
    ]);
  });

  test('hands on what it has when drained, and tells that it stopped', async () => {
    const run = await startedIngest({ cameras: [live] });
    void run.latest().sink.frame(grayFrame(0));
    await run.service.drain();
    await run.service.finished;
    expect(run.frames).toHaveLength(1);
    expect(run.statuses.at(-1)).toMatchObject({ state: 'ENDED', reason_code: 'STOPPED', frame_seq: 1 });
    expect(run.service.readiness()).toMatchObject({ ready: false });
  });

  test('stops while it waits to connect again', async () => {
    const run = await startedIngest({ cameras: [live] });
    run.latest().end(refused);
    await settle();
    await run.service.drain();
    expect(run.statuses.at(-1)).toMatchObject({ state: 'ENDED', reason_code: 'STOPPED' });
  });
});

describe('ingest of a file until its end', () => {
  const config = { fileQueueCapacity: 8 };

  test('makes the source wait instead of dropping a frame', async () => {
    const gate = Promise.withResolvers<void>();
    const run = await startedIngest({ cameras: [file], config, publishFrame: () => gate.promise });
    const waits: (Promise<void> | undefined)[] = [];
    for (let index = 0; index < 9; index++) waits.push(run.latest().sink.frame(grayFrame(index * 200)));
    expect(waits.map((wait) => wait !== undefined)).toEqual([...new Array<boolean>(8).fill(false), true]);
    gate.resolve();
    await waits.at(-1);
    run.latest().end(ended);
    await run.service.finished;
    expect(run.frames.map(({ frameSeq }) => frameSeq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(run.frames.every(({ deadlineMs }) => deadlineMs === null)).toBe(true);
    expect(run.statuses.at(-1)).toMatchObject({ state: 'ENDED', reason_code: 'END_OF_STREAM', frame_seq: 9 });
  });

  test('lets the source go on only when the queue is nearly empty, so that it works in bursts', async () => {
    const takers: (() => void)[] = [];
    const publishFrame = (): Promise<void> => new Promise((resolve) => takers.push(resolve));
    const run = await startedIngest({ cameras: [file], config, publishFrame });
    let mayGoOn = false;
    for (let index = 0; index < 9; index++)
      void run
        .latest()
        .sink.frame(grayFrame(index * 200))
        ?.then(() => (mayGoOn = true));
    const goOnAfter: boolean[] = [];
    for (let taken = 0; taken < 8; taken++) {
      takers.shift()?.();
      await settle();
      goOnAfter.push(mayGoOn);
    }
    // One of eight is left when the seventh was taken.
    expect(goOnAfter).toEqual([false, false, false, false, false, false, true, true]);
    takers.shift()?.();
    run.latest().end(ended);
    await run.service.finished;
  });

  test('does not take its own waiting for a stalled source', async () => {
    const gate = Promise.withResolvers<void>();
    const run = await startedIngest({ cameras: [file], config, publishFrame: () => gate.promise });
    for (let index = 0; index < 9; index++) void run.latest().sink.frame(grayFrame(index * 200));
    await run.clock.advance(60_000);
    expect(run.latest().signal.aborted).toBe(false);
    gate.resolve();
    run.latest().end(ended);
    await run.service.finished;
    expect(run.frames).toHaveLength(9);
  });

  test('keeps exact counts with the filter on, to the last filtered frame', async () => {
    const filtered = createCameraSpec({ id: 'clip', url: 'clip.mp4', untilEnd: true, filter: 'auto' });
    const run = await startedIngest({ cameras: [filtered] });
    for (let index = 0; index < 40; index++) await run.latest().sink.frame(grayFrame(index * 100));
    run.latest().end(ended);
    await run.service.finished;
    const counts = run.service.cameras()[0];
    expect(counts?.received).toBe(40);
    expect(counts?.filtered).toBeGreaterThan(20);
    expect(run.frames.at(-1)).toMatchObject({ frameSeq: 40, fate: 'filtered', image: null });
    expect(accountingGaps(run.frames)).toEqual([]);
  });

  test('is rejected where it never was a video', async () => {
    const run = await startedIngest({ cameras: [file] });
    const error = new AppError('SIGHTLINE_FILE_NOT_VIDEO', 'no video');
    run.latest().end({ reason: 'NO_VIDEO', text: 'no video', error });
    await run.service.finished;
    expect(run.statuses.at(-1)).toMatchObject({ state: 'REJECTED', reason_code: 'NO_VIDEO' });
  });
});

describe('closing ingest', () => {
  test('does not hang on a reader that never takes its frame', async () => {
    const run = await startedIngest({ cameras: [live], publishFrame: () => new Promise(() => undefined) });
    for (let index = 0; index < 3; index++) void run.latest().sink.frame(grayFrame(index * 200));
    await settle();
    const closed = run.service.close();
    await run.clock.advance(5_000);
    await closed;
    expect(run.service.close()).toBe(run.service.close());
  });

  test('refuses two cameras of one name', () => {
    const openSource = scriptedSources(() => undefined);
    expect(() => ingestHarness({ cameras: [live, live], openSource, clock: new ManualClock() })).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_CONFIG_INVALID' }),
    );
  });
});
