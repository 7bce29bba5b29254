import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { renderDemoScene } from '../../cli/demo/demo-scene.ts';

/** The drawn scene as a clip (640x360, 10 fps, 24 s), made once for all tests of this user: it needs no data from elsewhere. */
export async function demoSceneClip(): Promise<string> {
  return keep('scene-3.mp4', (part) => renderDemoScene(ffmpeg, part));
}

/** The first four seconds of the scene (40 frames), as cameras of different kinds would send them. */
export async function shortSceneClip(codec: 'h264' | 'hevc' | 'mjpeg' = 'h264'): Promise<string> {
  const scene = await demoSceneClip();
  const encoder = {
    h264: ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '10', '-bf', '0'],
    hevc: ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error:keyint=10:bframes=0'],
    mjpeg: ['-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p'],
  }[codec];
  return keep(`scene-3-short-${codec}.${codec === 'mjpeg' ? 'mkv' : 'mp4'}`, async (part) => {
    const format = codec === 'mjpeg' ? 'matroska' : 'mp4';
    const cut = ['-v', 'error', '-nostdin', '-y', '-i', scene, '-t', '4', '-an'];
    await promisify(execFile)(ffmpeg, [...cut, ...encoder, '-f', format, part]);
  });
}

export const shortSceneFrames = 40;

const ffmpeg = process.env['SIGHTLINE_FFMPEG'] ?? 'ffmpeg';

async function keep(name: string, make: (part: string) => Promise<unknown>): Promise<string> {
  const directory = path.join(tmpdir(), `sightline-test-clips-${String(process.getuid?.() ?? 0)}`);
  const clip = path.join(directory, name);
  if (existsSync(clip)) return clip;
  await mkdir(directory, { recursive: true });
  const part = `${clip}.${String(process.pid)}.part`;
  await make(part);
  await rename(part, clip);
  return clip;
}

/** Frames that a sampling of 5 a second gives of the scene. */
export const sceneFramesAtFiveFps = 120;
