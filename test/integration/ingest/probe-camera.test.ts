import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#shared/runtime/system-clock';
import { probeCamera, type ProbeOptions } from '../../../services/ingest/adapters/probe-camera.ts';
import type { ProbeStep, ProbeVerdict } from '../../../services/ingest/core/probe-verdict.ts';
import { hasRtspServer, startRtspServer } from '../../support/rtsp-server.ts';
import { startScriptedCamera, ok, wellBehaved } from '../../support/scripted-rtsp-camera.ts';
import { createKeptLogger } from '../../support/silent-logger.ts';
import { testDataPath } from '../../support/test-data.ts';

const run = promisify(execFile);
const clip = testDataPath('videos/person-bicycle-car-detection-preview.mp4');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sightline-probe-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function probe(target: string, options: Partial<ProbeOptions> = {}): Promise<ProbeVerdict> {
  return probeCamera(target, { clock: systemClock, logger: createKeptLogger().logger, ...options });
}

const outcomes = (steps: readonly ProbeStep[]): string[] =>
  steps.map(({ step, ok: isOk }) => `${step} ${String(isOk)}`);

describe('probing a file', () => {
  test.skipIf(clip === undefined)('tells codec, size, rate and key frames of a clip', async () => {
    expect(await probe(clip ?? '')).toMatchObject({
      usable: true,
      reason_code: 'NONE',
      codec: 'h264',
      width_px: 480,
      height_px: 270,
      declared_fps: 12,
      clock_source: 'CONTAINER',
      transport: 'file',
    });
  });

  test('says of each file that is none why not', async () => {
    const at = (name: string): string => join(folder, name);
    await writeFile(at('empty.mp4'), '');
    await writeFile(at('text.mp4'), 'this is no video\n'.repeat(100));
    await run('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'anullsrc', '-t', '1', '-y', at('sound.wav')]);
    const reasonFor = async (path: string): Promise<string> => {
      const verdict = await probe(path);
      expect(verdict).toMatchObject({ usable: false, action: expect.stringMatching(/./) as string });
      return verdict.reason_text;
    };
    expect(await reasonFor(at('empty.mp4'))).toBe('the file is empty');
    expect(await reasonFor(at('text.mp4'))).toContain('does not find a video format');
    expect(await reasonFor(at('sound.wav'))).toBe('the file has no video stream');
    expect(await reasonFor(folder)).toBe('this is no regular file');
    expect(await reasonFor(at('absent.mp4'))).toContain('no such file');
  });

  test.skipIf(clip === undefined)(
    'says of a clip without its head, and of one with rubbish for pictures, that it is bad',
    async () => {
      const bytes = await readFile(clip ?? '');
      const headless = join(folder, 'headless.mp4');
      await writeFile(headless, bytes.subarray(bytes.length >> 1));
      expect(await probe(headless)).toMatchObject({ usable: false, reason_code: 'NO_VIDEO' });

      // An elementary stream keeps its parameter sets; what follows them is noise.
      const raw = join(folder, 'raw.mp4');
      await run('ffmpeg', ['-v', 'error', '-y', '-i', clip ?? '', '-c', 'copy', '-movflags', 'faststart', raw]);
      const noisy = await readFile(raw);
      noisy.fill(0x00, noisy.indexOf('mdat') + 4);
      await writeFile(raw, noisy);
      expect(await probe(raw)).toMatchObject({ usable: false, reason_code: 'CORRUPT' });
    },
  );

  test.skipIf(clip === undefined)('takes a name that looks like an option or a protocol for what it is', async () => {
    const odd = join(folder, '-i concat:x|y.mp4');
    await writeFile(odd, await readFile(clip ?? ''));
    expect((await probe(odd)).usable).toBe(true);
  });
});

describe('probing a camera', () => {
  test.skipIf(clip === undefined || !hasRtspServer())('tells what there is to know in time', async () => {
    const server = await startRtspServer({ clip: clip ?? '', user: 'user', password: 'S3CR3T-canary' });
    onTestFinished(() => server.stop());
    const steps: ProbeStep[] = [];
    const verdict = await probe(server.urlWithCredentials, { onStep: (step) => steps.push(step) });
    expect(verdict).toMatchObject({
      usable: true,
      codec: 'h264',
      width_px: 480,
      height_px: 270,
      clock_source: 'RTCP_SR',
      auth_scheme: 'digest',
      transport: 'tcp',
      packet_loss_ratio: 0,
      target: server.url,
    });
    expect(verdict.measured_fps).toBeCloseTo(12, 0);
    expect(outcomes(steps)).toEqual(
      ['dns', 'tcp', 'auth', 'describe', 'setup', 'stream'].map((step) => `${step} true`),
    );
    expect(JSON.stringify(verdict)).not.toContain('S3CR3T');

    const refused = await probe(server.urlWithCredentials, { password: 'wrong' });
    expect(refused).toMatchObject({ usable: false, reason_code: 'AUTH' });
    expect(outcomes(refused.steps)).toEqual(['dns true', 'tcp true', 'auth false']);
  });

  test('ends in time with a camera that never answers', async () => {
    const camera = await startScriptedCamera(() => undefined);
    onTestFinished(() => camera.stop());
    const verdict = await probe(`rtsp://127.0.0.1:${camera.port}/`, { timeoutMs: 1500 });
    expect(verdict).toMatchObject({ usable: false, reason_code: 'TIMEOUT' });
    expect(outcomes(verdict.steps)).toEqual(['dns true', 'tcp true', 'describe false']);
  });

  test('ends in time with a camera that accepts and sends nothing', async () => {
    const camera = await startScriptedCamera((request) =>
      request.method === 'PLAY' ? ok(request, { Session: 'abc' }) : wellBehaved(request),
    );
    onTestFinished(() => camera.stop());
    const verdict = await probe(`rtsp://127.0.0.1:${camera.port}/`, { timeoutMs: 2500 });
    expect(verdict).toMatchObject({ usable: false, reason_code: 'TIMEOUT', codec: 'h264' });
    expect(outcomes(verdict.steps).at(-1)).toBe('stream false');
  });

  test('refuses a URL that is none without repeating it', async () => {
    const verdict = await probe('rtsp://user:S3CR3T/x#@h:port/');
    expect(verdict).toMatchObject({ usable: false, reason_code: 'NOT_ALLOWED', steps: [{ step: 'url', ok: false }] });
    expect(JSON.stringify(verdict)).not.toContain('S3CR3T');
  });
});
