import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { renderDemoScene } from '../../cli/demo/demo-scene.ts';

/** The drawn scene as a clip (640x360, 10 fps, 24 s), made once for all tests of this user: it needs no data from elsewhere. */
export async function demoSceneClip(): Promise<string> {
  const directory = path.join(tmpdir(), `sightline-test-clips-${String(process.getuid?.() ?? 0)}`);
  const clip = path.join(directory, 'scene-3.mp4');
  if (existsSync(clip)) return clip;
  await mkdir(directory, { recursive: true });
  const part = `${clip}.${String(process.pid)}.part`;
  await renderDemoScene(process.env['SIGHTLINE_FFMPEG'] ?? 'ffmpeg', part);
  await rename(part, clip);
  return clip;
}

/** Frames that a sampling of 5 a second gives of the scene. */
export const sceneFramesAtFiveFps = 120;
