import { rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { schemas } from '#schemas';
import { createBaselineJpegWriter } from '#shared/core/baseline-jpeg-writer';
import type { Clock } from '#shared/core/clock';
import { AppError, toAppError } from '#shared/core/errors';
import type { SampledFrame } from '#shared/core/frame';
import type { Logger } from '#shared/core/logger';
import type { MetricStore } from '#shared/core/metric-store';
import type { RolloutController } from '#shared/core/rollout/rollout-controller';
import type { RolloutLog } from '#shared/core/rollout/rollout-log';
import { createMetricsText } from '#shared/runtime/metrics';
import { packageVersion } from '#shared/runtime/package-version';
import { loadSecretBox } from '#shared/runtime/secret-key';
import { createSqliteCameraRegistry } from '#shared/store/sqlite-camera-registry';
import { createApiServer, listen } from '../../services/control/adapters/http/server.ts';
import { openControlStore } from '../../services/control/adapters/sqlite/control-store.ts';
import { controlDefaults } from '../../services/control/config.ts';
import { expectedCpuMsPerFrame } from '../../services/control/core/capacity.ts';
import { createFirstToken } from '../../services/control/core/first-token.ts';
import type { LiveHub } from '../../services/control/core/live-hub.ts';
import { openRegisteredCameras } from '../../services/control/core/registered-cameras.ts';
import { createToken } from '../../services/control/core/tokens.ts';
import type { DriftChange } from '../../services/inference/drift-watch.ts';
import type { ModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { specFromRegistration } from '../../services/ingest/core/camera-registration.ts';
import type { CameraSpec } from '../../services/ingest/core/camera-spec.ts';
import { fileEntry, finderByRules, probeByRules, registrationRules } from '../control/camera-rules.ts';
import { openEventLog } from '../control/event-log.ts';
import { openIdentity, type OidcSettings } from '../control/identity.ts';
import { webRoot } from '../control/web-root.ts';
import { listModelEntries } from '../models/model-entries.ts';
import type { EmbeddedPipeline } from './embedded-pipeline.ts';
import { readCpuTime } from './process-cpu.ts';

export interface ControlOptions {
  readonly host: string;
  readonly port: number;
  /** Where the port was not asked for, the next free one does as well. */
  readonly isPortFree: boolean;
  readonly stateDir: string;
  readonly allowHttp: boolean;
  readonly denyLoopback: boolean;
  readonly denyPrivate: boolean;
  readonly results: string;
  readonly oidc: OidcSettings | undefined;
  readonly library: ModelLibrary;
  readonly rollouts: RolloutController | undefined;
  readonly rolloutLog: RolloutLog | undefined;
  readonly events: { readonly max_count: number; readonly max_days: number };
  readonly cameras: readonly CameraSpec[];
  readonly pipeline: EmbeddedPipeline;
  readonly hub: LiveHub;
  readonly metrics: MetricStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Control {
  readonly url: string;
  /** The page with its token, for the person at this terminal. */
  readonly link: string;
  /** Keeps it as an event. */
  drift(change: DriftChange): void;
  close(): Promise<void>;
}

const localTokenFile = 'local-token';
/** Where the API of the run is that uses this state folder, for the command line. */
const localAddressFile = 'local-api';
/** Too few frames say nothing about what one costs. */
const enoughFrames = 200;
const portsTried = 20;
/** Whoever can reach the API from elsewhere is not to open files of this machine. */
const loopbackHosts: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost']);

/** The API of a run: cameras come and go by it, and are remembered in the state folder. */
export async function startControl(options: ControlOptions): Promise<Control> {
  const { stateDir, clock, logger, pipeline, hub, rollouts } = options;
  const secretBox = await loadSecretBox(process.env, stateDir);
  const registry = createSqliteCameraRegistry({ stateDir, logger });
  await registry.open();
  const identity = await openIdentity(options.oidc, { clock, logger });
  const store = openControlStore(stateDir);
  const eventLog = openEventLog({
    ...{
      directory: stateDir,
      keep: options.events,
      live: hub,
      registry,
      rolloutLog: options.rolloutLog,
      clock,
      logger,
    },
  });
  await eventLog.takeUp();
  const fromFile = options.cameras.map((camera) => fileEntry(camera));
  const isFromFile = new Set(fromFile.map(({ id }) => id));
  const cameras = await openRegisteredCameras({
    registry,
    fromFile,
    ...registrationRules({
      ...{ secretBox, clock, allowHttp: options.allowHttp },
      allowFiles: loopbackHosts.has(options.host),
    }),
  });

  const apply = async (id: string): Promise<void> => {
    const registration = await registry.get(id);
    if (isFromFile.has(id)) return;
    if (registration?.enabled !== true) {
      await pipeline.ingest.remove(id);
      if (registration === undefined) hub.forget(id);
      return;
    }
    try {
      await pipeline.ingest.put(specFromRegistration(registration, secretBox));
    } catch (thrown) {
      await pipeline.ingest.refuse(id, toAppError(thrown));
    }
  };
  const applySafely = (id: string): void => {
    apply(id).catch((error: unknown) => logger.error({ err: toAppError(error), camera: id }, 'camera not changed'));
  };
  const stopWatching = registry.watch(({ cameraId }) => applySafely(cameraId));

  const startedAt = new Date(clock.nowUs() / 1000).toISOString();
  const server = await createApiServer({
    ...controlDefaults,
    ...webRoot(),
    ports: {
      cameras,
      live: hub,
      events: eventLog.events,
      tokens: store.tokens,
      identity: identity ?? null,
      audit: store.audit,
      probe: probeByRules(options),
      finder: finderByRules(options),
      system: {
        facts: () => {
          const { ready, reason = null } = pipeline.readiness();
          return {
            ...{ version: packageVersion, mode: 'embedded', started_at: startedAt, model: activeModel(pipeline) },
            results: options.results,
            topics: topicsOf(options.results),
            services: [{ name: 'sightline', ready, reason }],
          };
        },
        load() {
          const frames = hub.analysedFrames();
          const isMeasured = frames >= enoughFrames;
          const measured = isMeasured ? readCpuTime().totalMs / frames : expectedCpuMsPerFrame;
          return { cores: availableParallelism(), cpuMsPerFrame: measured, isMeasured };
        },
      },
      models: rollouts === undefined ? null : { list: () => listModelEntries(options.library), rollout: rollouts },
      schemas: Object.values(schemas).map(({ name, version, schema }) => ({ name, version, schema })),
      readiness: () => {
        const waitsFor = identity?.waitsFor;
        return waitsFor === undefined ? pipeline.readiness() : { ready: false, reason: waitsFor };
      },
      metricsText: createMetricsText(options.metrics),
      clock,
      logger,
    },
  });
  const url = await listenNear(server, options);
  const token = await localToken(store.tokens, stateDir, clock);
  const addressFile = join(stateDir, localAddressFile);
  await writeFile(addressFile, `${url}\n`, { mode: 0o600 });
  for (const { camera_id: id } of await registry.list()) applySafely(id);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    stopWatching();
    await rm(addressFile, { force: true });
    cameras.close();
    await server.app.close();
    await identity?.close();
    eventLog.close();
    await registry.close();
    store.close();
  };
  return {
    url,
    link: `${url}/#token=${token}`,
    drift: (change) => eventLog.events.drift(change),
    close: () => (closing ??= close()),
  };
}

/** Pictures for those who look: made of the frames that are handed on anyway, and only while somebody does. */
export function createPictureTap(hub: LiveHub): (frame: SampledFrame) => void {
  const write = createBaselineJpegWriter();
  return (frame) => {
    const { image, cameraId } = frame;
    if (image?.format !== 'yuv420p' || !hub.wantsPicture(cameraId)) return;
    // At once: the pixels are handed on behind this.
    const jpeg = write(image);
    if (jpeg !== undefined) hub.addPicture(frame, jpeg);
  };
}

async function listenNear(
  server: Awaited<ReturnType<typeof createApiServer>>,
  options: ControlOptions,
): Promise<string> {
  const { host, port, isPortFree } = options;
  for (let tried = 0; ; tried++) {
    try {
      return await listen(server.app, { host, port: port === 0 ? 0 : port + tried });
    } catch (error) {
      if (!isPortFree || tried === portsTried || !(error instanceof AppError)) throw error;
    }
  }
}

/** One token of the user who starts runs here: the command line of the same user finds it, and nobody else can read it. */
async function localToken(
  tokens: ReturnType<typeof openControlStore>['tokens'],
  stateDir: string,
  clock: Clock,
): Promise<string> {
  const nowMs = Math.round(clock.nowUs() / 1000);
  for (const { id, name } of tokens.list()) if (name === localTokenFile) tokens.remove(id);
  // Only for somebody who sees it: without a terminal it would lie in a log that is kept, and the local token does the same.
  const first = process.stderr.isTTY ? createFirstToken(tokens, nowMs) : undefined;
  const { text, stored } = createToken(
    { name: localTokenFile, role: 'admin', cameras: null, expiresAtMs: null },
    nowMs,
  );
  if (first !== undefined) process.stderr.write(`first admin token (told once): ${first}\n`);
  tokens.put(stored);
  await writeFile(join(stateDir, localTokenFile), `${text}\n`, { mode: 0o600 });
  return text;
}

function activeModel({ inference }: EmbeddedPipeline) {
  const { name, version, digest } = inference.model;
  return { name, version, digest };
}

function topicsOf(results: string) {
  const isTopics = results.startsWith('kafka://');
  return isTopics ? [{ name: 'sightline.detections', consumer: `sightline results tail '${results}'` }] : [];
}
