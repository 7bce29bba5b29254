import { randomUUID } from 'node:crypto';
import { toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { Service } from '#shared/core/service';
import { packageVersion } from '#shared/runtime/package-version';
import { loadSecretBox } from '#shared/runtime/secret-key';
import { systemClock } from '#shared/runtime/system-clock';
import { openControlStore } from '../../services/control/adapters/sqlite/control-store.ts';
import type { CameraEntry } from '../../services/control/core/ports.ts';
import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { fileEntry, finderByRules, probeByRules, registrationRules } from '../control/camera-rules.ts';
import { openIdentity } from '../control/identity.ts';
import { keepToken } from '../control/kept-token.ts';
import { defaultStateDirectory, modelDirectories } from '../model-directories.ts';
import { listModelEntries } from '../models/model-entries.ts';
import { createCameraSpecs } from '../run/camera-specs.ts';
import { createControlWorker } from './control-worker.ts';
import { serve } from './serve.ts';
import { openServiceConnection } from './service-connection.ts';
import { loadServiceSettings, type ServiceRequest, type ServiceSettings } from './service-settings.ts';

/** As of `sightline run`. */
const defaultPort = 8080;

/** `sightline service control`. */
export async function runControl(request: ServiceRequest): Promise<void> {
  const settings = loadServiceSettings(request, process.env);
  const { host, port = defaultPort } = settings.http;
  // It has /healthz, /readyz and /metrics among the routes of its API.
  await serve('control', { ...settings, http: { host } }, async ({ logger, metrics }): Promise<Service> => {
    const clock = systemClock;
    const producer = { service: 'control', instance_id: randomUUID(), version: packageVersion };
    const stateDir = settings.state_dir ?? defaultStateDirectory(process.env);
    const directory = settings.control_dir ?? stateDir;
    const library = createModelLibrary({
      directories: modelDirectories({ modelsDir: settings.models_dir, stateDir }, process.env),
    });
    const secretBox = await loadSecretBox(process.env, stateDir);
    const store = openControlStore(directory);
    await keepToken(store.tokens, { directory, clock, logger });
    const { allow_http: allowHttp, deny_loopback: denyLoopback, deny_private: denyPrivate } = settings;
    const probeRules = { allowHttp, denyLoopback, denyPrivate, clock, logger };
    return createControlWorker({
      connection: await openServiceConnection({ settings, environment: process.env, producer, clock, logger }),
      identity: await openIdentity(settings.oidc, { clock, logger }),
      ...{ host, port, store, producer, clock, logger, metrics },
      // A path would be one of whichever machine an ingest happens to be on.
      rules: registrationRules({ secretBox, clock, allowHttp, allowFiles: false }),
      fromFile: camerasOfFile(settings, logger),
      listModels: () => listModelEntries(library),
      probe: probeByRules(probeRules),
      finder: finderByRules(probeRules),
      leaseMs: settings.lease_s * 1000,
      events: { directory, ...settings.events },
    });
  });
}

/** The ingests read them; one whose password is not here is only not shown. */
function camerasOfFile(settings: ServiceSettings, logger: Logger): readonly CameraEntry[] {
  return Object.entries(settings.cameras).flatMap(([id, camera]) => {
    try {
      return createCameraSpecs({ ...settings, cameras: { [id]: camera }, until_end: false }, process.env).map(
        fileEntry,
      );
    } catch (thrown) {
      logger.warn({ camera: id, reason: toAppError(thrown).message }, 'a camera of the file cannot be shown');
      return [];
    }
  });
}
