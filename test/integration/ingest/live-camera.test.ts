import { inspect } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Logger } from '#shared/core/logger';
import { systemClock } from '#shared/runtime/system-clock';
import { createCameraSpec } from '../../../services/ingest/core/camera-spec.ts';
import { accountingGaps, ingestHarness } from '../../support/ingest-doubles.ts';
import { openSources, until } from '../../support/ingest-files.ts';
import { hasRtspServer, startRtspServer } from '../../support/rtsp-server.ts';
import { startTcpLine } from '../../support/tcp-line.ts';
import { testDataPath } from '../../support/test-data.ts';

const people = testDataPath('videos/one-by-one-person-detection.mp4');
const isPossible = people !== undefined && hasRtspServer();

function recordingLogger(lines: string[]): Logger {
  const write = (fields: object, text: string): void =>
    void lines.push(`${text} ${inspect(fields, { depth: 10, showHidden: true })}`);
  const logger: Logger = { debug: write, info: write, warn: write, error: write, child: () => logger };
  return logger;
}

async function watch(url: string, settings: { readonly fps?: number; readonly stallTimeoutMs?: number } = {}) {
  const lines: string[] = [];
  const logger = recordingLogger(lines);
  const run = ingestHarness({
    cameras: [createCameraSpec({ id: 'yard', url, fps: 5, ...settings })],
    openSource: await openSources({ logger }),
    clock: systemClock,
    logger,
    config: { reconnect: { firstDelayMs: 200, longestDelayMs: 400, stableAfterMs: 1_000 } },
  });
  onTestFinished(() => run.service.close());
  await run.service.start();
  const frames = (count: number, epoch = 1) =>
    until(
      () => run.frames.filter((frame) => frame.epoch >= epoch).length >= count,
      () =>
        `${run.frames.length} of ${count} frames; ${run.statuses.map(({ state, reason_text }) => `${state} ${reason_text}`).join('; ')}`,
    );
  return { ...run, lines, framesCome: frames };
}

describe.skipIf(!isPossible)('a real RTSP camera', () => {
  test('gives frames at the rate asked for, with the time of their capture and no password anywhere', async () => {
    const server = await startRtspServer({ clip: people ?? '', user: 'viewer', password: 'canary-5ecret' });
    onTestFinished(() => server.stop());
    const run = await watch(server.urlWithCredentials);
    await run.framesCome(15);
    await run.service.drain();
    const times = run.frames.filter(({ image }) => image !== null).map(({ times: { ptsUs } }) => ptsUs ?? 0);
    const steps = times.slice(1).map((time, index) => Math.round((time - (times[index] ?? 0)) / 1000));
    // 10 frames a second sampled at 5: each second one, as the stream's own clock has it.
    expect(steps.filter((step) => step < 150 || step > 250)).toEqual([]);
    expect(run.frames[5]).toMatchObject({
      sourceWidthPx: 768,
      sourceHeightPx: 432,
      times: { captureTimeSource: expect.stringMatching(/RTCP_SR|ARRIVAL/) as unknown },
    });
    const ages = run.frames.map(({ times: { ingestTimeUs, captureTimeUs } }) => (ingestTimeUs - captureTimeUs) / 1000);
    expect(Math.max(...ages.map(Math.abs))).toBeLessThan(5_000);
    expect(accountingGaps(run.frames)).toEqual([]);
    expect(run.statuses.map(({ state }) => state)).toEqual(['CONNECTING', 'ONLINE', 'ENDED']);
    expect(run.statuses[1]).toMatchObject({ codec: 'h264', width_px: 768, height_px: 432 });
    const everything = [
      ...run.lines,
      inspect([run.frames, run.statuses, run.service.cameras()], { depth: 12, showHidden: true }),
    ].join('\n');
    expect(everything).not.toContain('canary-5ecret');
  });

  test('that dies and comes back goes on in a new epoch', async () => {
    const server = await startRtspServer({ clip: people ?? '' });
    onTestFinished(() => server.stop());
    const line = await startTcpLine(server.port);
    onTestFinished(() => line.close());
    const run = await watch(`rtsp://127.0.0.1:${line.port}/live`);
    await run.framesCome(3);
    await server.stop();
    await until(
      () => run.statuses.some(({ state }) => state === 'OFFLINE'),
      () => inspect(run.statuses.map(({ state }) => state)),
    );
    const offline = run.statuses.find(({ state }) => state === 'OFFLINE');
    const lastOfFirst = run.frames.filter(({ epoch }) => epoch === 1).at(-1);
    expect(offline).toMatchObject({ epoch: 1, frame_seq: lastOfFirst?.frameSeq });
    const again = await startRtspServer({ clip: people ?? '' });
    onTestFinished(() => again.stop());
    line.leadTo(again.port);
    await run.framesCome(3, 2);
    await run.service.drain();
    expect(accountingGaps(run.frames)).toEqual([]);
    expect(run.service.cameras()[0]?.reconnects).toBeGreaterThanOrEqual(1);
  });

  test('that falls silent is stalled, and connected to again', async () => {
    const server = await startRtspServer({ clip: people ?? '' });
    onTestFinished(() => server.stop());
    const line = await startTcpLine(server.port);
    onTestFinished(() => line.close());
    const run = await watch(`rtsp://127.0.0.1:${line.port}/live`, { stallTimeoutMs: 4_000 });
    await run.framesCome(3);
    line.mute();
    await until(
      () => run.statuses.some(({ state }) => state === 'OFFLINE'),
      () => inspect(run.statuses.map(({ state }) => state)),
    );
    expect(run.statuses.find(({ state }) => state === 'OFFLINE')).toMatchObject({ reason_code: 'STALLED', epoch: 1 });
    await run.framesCome(3, 2);
    expect(accountingGaps(run.frames)).toEqual([]);
  });

  test('that refuses the password is offline for that reason', async () => {
    const server = await startRtspServer({ clip: people ?? '', user: 'viewer', password: 'right' });
    onTestFinished(() => server.stop());
    const run = await watch(server.urlWithCredentials.replace('right', 'wr0ng-canary'));
    await until(
      () => run.statuses.some(({ state }) => state === 'OFFLINE'),
      () => inspect(run.statuses),
    );
    expect(run.statuses.at(1)).toMatchObject({ state: 'OFFLINE', reason_code: 'AUTH' });
    expect([...run.lines, inspect(run.statuses)].join('\n')).not.toContain('wr0ng-canary');
  });
});
