import path from 'node:path';
import type { Logger } from '#shared/core/logger';
import { createCameraSpec, type CameraSpec } from '../../services/ingest/core/camera-spec.ts';
import { findDemoClip } from '../demo/demo-clip.ts';
import type { RunSettings } from './run-settings.ts';

/** The camera of a run that names none: a clip that plays over and over at its own speed. */
export async function createDemoCamera(settings: RunSettings, stateDir: string, logger: Logger): Promise<CameraSpec> {
  const named = process.env['SIGHTLINE_DEMO_CLIP'];
  const clip = await findDemoClip({
    named: named === '' ? undefined : named,
    cacheDir: path.join(stateDir, 'demo'),
    ffmpegPath: settings.ffmpeg,
    logger,
    mayFetch: process.env['SIGHTLINE_NO_INSTALL'] !== '1',
  });
  logger.info({}, `demo: no camera was given, so this plays ${clip.description}; --camera NAME=URL takes yours`);
  const untilEnd = settings.until_end;
  return createCameraSpec({
    id: 'demo',
    url: clip.path,
    fps: settings.fps,
    filter: settings.filter,
    untilEnd,
    loop: !untilEnd,
  });
}
