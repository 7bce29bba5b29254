import { randomUUID } from 'node:crypto';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import { packageVersion } from '#shared/runtime/package-version';
import { loadSecretBox } from '#shared/runtime/secret-key';
import { systemClock } from '#shared/runtime/system-clock';
import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { createFfmpegSources } from '../../services/ingest/adapters/ffmpeg/ffmpeg-frame-source.ts';
import { defaultStateDirectory, modelDirectories } from '../model-directories.ts';
import { chooseModel } from '../models/chosen-model.ts';
import { createCameraSpecs } from '../run/camera-specs.ts';
import { createIngestWorker } from './ingest-worker.ts';
import { serve } from './serve.ts';
import { openServiceConnection } from './service-connection.ts';
import { loadServiceSettings, type ServiceRequest } from './service-settings.ts';

/** Pictures that were just decoded and are not encoded yet: five for each of 60 cameras and a few more. */
const pooledFrameBytes = 64 * 1024 * 1024;

/** `sightline service ingest`. */
export async function runIngest(request: ServiceRequest): Promise<void> {
  const settings = loadServiceSettings(request, process.env);
  await serve('ingest', settings, async ({ logger, metrics }) => {
    const clock = systemClock;
    const producer = { service: 'ingest', instance_id: randomUUID(), version: packageVersion };
    const { models_dir: modelsDir, state_dir: stateDir } = settings;
    const library = createModelLibrary({
      directories: modelDirectories({ modelsDir, stateDir }, process.env),
      inputShape: settings.input_shape,
    });
    // Its manifest says how large pictures have to be; the model itself is not needed here.
    const { nameOrPath, reason } = await chooseModel(library, settings.model);
    logger.info({ model: nameOrPath, ...(reason === undefined ? {} : { reason }) }, 'pictures for this model');
    const { manifest } = await library.find(nameOrPath);
    const pool = createFrameBufferPool({ maxBytes: pooledFrameBytes });
    return createIngestWorker({
      connection: await openServiceConnection({ settings, environment: process.env, producer, clock, logger }),
      secretBox: await loadSecretBox(process.env, settings.state_dir ?? defaultStateDirectory(process.env)),
      cameras: createCameraSpecs({ ...settings, until_end: false }, process.env),
      openSource: await createFfmpegSources({
        ffmpegPath: settings.ffmpeg,
        geometry: () => manifest.input,
        pool,
        policy: { denyLoopback: settings.deny_loopback, denyPrivate: settings.deny_private },
        clock,
        logger,
      }),
      leaseMs: settings.lease_s * 1000,
      maxCameras: settings.max_cameras,
      pool,
      clock,
      logger,
      metrics,
      producer,
    });
  });
}
