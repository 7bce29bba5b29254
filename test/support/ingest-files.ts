import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { SampledFrame } from '#shared/core/frame';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { InputGeometry } from '#shared/core/inference-geometry';
import { systemClock } from '#shared/runtime/system-clock';
import {
  createFfmpegSources,
  type FfmpegSourcesOptions,
} from '../../services/ingest/adapters/ffmpeg/ffmpeg-frame-source.ts';
import { createCameraSpec, type CameraInput } from '../../services/ingest/core/camera-spec.ts';
import { ingestHarness, silentLogger } from './ingest-doubles.ts';

export const geometry: InputGeometry = {
  widthPx: 416,
  heightPx: 416,
  resize: { mode: 'letterbox', anchor: 'top_left', padValue: 114, shape: 'fixed' },
};

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sightline-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs ffmpeg to make a clip. Arguments as on its command line, the output file last. */
export function makeClip(...args: readonly string[]): string {
  execFileSync('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  return args.at(-1) ?? '';
}

/** The test picture of ffmpeg as a lavfi input. In 4:4:4, for 4:2:0 has no odd sizes. */
export function testPicture(size: string, rate: number, seconds: number): string[] {
  const [width, height] = size.split('x');
  const picture = `testsrc2=size=640x360:rate=${rate}:duration=${seconds}`;
  return ['-f', 'lavfi', '-i', `${picture},format=yuv444p,scale=${width ?? ''}:${height ?? ''}`];
}

export async function openSources(options: Partial<FfmpegSourcesOptions> = {}) {
  return createFfmpegSources({
    ffmpegPath: 'ffmpeg',
    geometry: () => geometry,
    pool: createFrameBufferPool({ maxBytes: 1 << 24 }),
    clock: systemClock,
    logger: silentLogger,
    ...options,
  });
}

/** Reads a file to its end through the whole of ingest, and says what came out. */
export async function readFileToEnd(
  path: string,
  settings: Partial<CameraInput> = {},
  options: Partial<FfmpegSourcesOptions> = {},
) {
  const harness = ingestHarness({
    cameras: [createCameraSpec({ id: 'clip', url: path, untilEnd: true, ...settings })],
    openSource: await openSources(options),
    clock: systemClock,
  });
  onTestFinished(() => harness.service.close());
  await harness.service.start();
  await harness.service.finished;
  const pictures = harness.frames.filter((frame): frame is SampledFrame & { image: object } => frame.image !== null);
  const [snapshot] = harness.service.cameras();
  if (snapshot === undefined) throw new Error('no camera');
  return { ...harness, pictures, snapshot, lastStatus: harness.statuses.at(-1) };
}

/** Waits for a condition with a limit; `progress` says how far it came when it does not. */
export async function until(condition: () => boolean, progress: () => string, limitMs = 20_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`still waiting after ${limitMs} ms: ${progress()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
