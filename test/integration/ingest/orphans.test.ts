import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '#shared/runtime/system-clock';
import { createCameraSpec } from '../../../services/ingest/core/camera-spec.ts';
import { ingestHarness } from '../../support/ingest-doubles.ts';
import { makeClip, openSources, temporaryFolder, testPicture, until } from '../../support/ingest-files.ts';
import { hasRtspServer, startRtspServer } from '../../support/rtsp-server.ts';
import { startTcpLine } from '../../support/tcp-line.ts';
import { testDataPath } from '../../support/test-data.ts';

const cars = testDataPath('videos/car-detection.mp4');

/** Gone, or only a record left for a parent that has not asked yet. */
function isGone(pid: number): boolean {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}

async function startParent(
  mode: 'reading' | 'blocked',
  url: string,
): Promise<{ readonly ffmpegPid: number; kill(): Promise<void> }> {
  const script = resolve(import.meta.dirname, '../../support/orphan-parent.ts');
  const parent = spawn(process.execPath, [script, mode, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void parent.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
  const ffmpegPid = Number(line.trim());
  expect(existsSync(`/proc/${ffmpegPid}`)).toBe(true);
  return {
    ffmpegPid,
    kill: async () => {
      const exited = once(parent, 'exit');
      parent.kill('SIGKILL');
      await exited;
    },
  };
}

describe.skipIf(process.platform !== 'linux')('when Sightline is killed by -9, ffmpeg ends too', () => {
  test.skipIf(cars === undefined)('while a file is played', async () => {
    const parent = await startParent('reading', cars ?? '');
    await parent.kill();
    await until(
      () => isGone(parent.ffmpegPid),
      () => `ffmpeg ${parent.ffmpegPid} lives`,
      5_000,
    );
  });

  test.skipIf(cars === undefined)('while it waits for us to take a frame', async () => {
    const parent = await startParent('blocked', cars ?? '');
    await parent.kill();
    await until(
      () => isGone(parent.ffmpegPid),
      () => `ffmpeg ${parent.ffmpegPid} lives`,
      5_000,
    );
  });

  test.skipIf(cars === undefined || !hasRtspServer())(
    'while a camera streams, and while it has fallen silent',
    async () => {
      for (const isSilent of [false, true]) {
        const server = await startRtspServer({ clip: cars ?? '' });
        onTestFinished(() => server.stop());
        const line = await startTcpLine(server.port);
        onTestFinished(() => line.close());
        const parent = await startParent('reading', `rtsp://127.0.0.1:${line.port}/live`);
        if (isSilent) line.mute();
        await parent.kill();
        await until(
          () => isGone(parent.ffmpegPid),
          () => `ffmpeg ${parent.ffmpegPid} lives`,
          5_000,
        );
      }
    },
  );
});

describe.skipIf(process.platform !== 'linux')('what a stopped camera leaves behind', () => {
  test('is no process, no open file and no folder', async () => {
    const path = makeClip(
      ...testPicture('320x180', 10, 30),
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      join(await temporaryFolder(), 'clip.mp4'),
    );
    const openFiles = (): number => readdirSync('/proc/self/fd').length;
    // Of its own: other tests run cameras at the same time.
    const runtimeFolder = await temporaryFolder();
    vi.stubEnv('XDG_RUNTIME_DIR', runtimeFolder);
    onTestFinished(() => void vi.unstubAllEnvs());
    const openSource = await openSources();
    const madeMs = statSync(runtimeFolder).mtimeMs;
    let filesBefore = 0;
    for (let round = 0; round < 4; round++) {
      const run = ingestHarness({
        cameras: [createCameraSpec({ id: 'clip', url: path, fps: 10 })],
        openSource,
        clock: systemClock,
      });
      onTestFinished(() => run.service.close());
      await run.service.start();
      await until(
        () => run.frames.length > 2,
        () => `${run.frames.length} frames`,
      );
      await run.service.drain();
      await run.service.close();
      // The first round opens what stays: the timers and pools of Node itself.
      if (round === 0) filesBefore = openFiles();
    }
    expect(openFiles()).toBeLessThanOrEqual(filesBefore);
    // Something was there, and has gone.
    expect(statSync(runtimeFolder).mtimeMs).toBeGreaterThan(madeMs);
    expect(readdirSync(runtimeFolder)).toEqual([]);
    expect(readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim()).toBe('');
  });
});
