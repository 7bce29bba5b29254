import { access, constants, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '#shared/core/clock';
import { AppError } from '#shared/core/errors';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { InputGeometry } from '#shared/core/inference-geometry';
import type { Logger } from '#shared/core/logger';
import { createMetricStore, type MetricStore } from '#shared/core/metric-store';
import type { HealthServer } from '#shared/runtime/health-server';
import { loadConfig } from '#shared/runtime/load-config';
import { createLogger } from '#shared/runtime/logger';
import { packageVersion } from '#shared/runtime/package-version';
import { superviseService } from '#shared/runtime/run-service';
import { systemClock } from '#shared/runtime/system-clock';
import { openSqliteEpochStore } from '#shared/store/sqlite-epoch-store';
import { openKeptDriftWatch } from '../models/drift.ts';
import { loadEmbedding } from '../models/chosen-embedding.ts';
import { createEngineMaker } from '../models/engine-maker.ts';
import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { createFfmpegSources } from '../../services/ingest/adapters/ffmpeg/ffmpeg-frame-source.ts';
import type { CameraSpec } from '../../services/ingest/core/camera-spec.ts';
import type { CameraSnapshot } from '../../services/ingest/core/camera-supervisor.ts';
import { parseDestination } from '../../services/results/core/destination.ts';
import { createRunSummary } from '../../services/results/core/run-summary.ts';
import { createResultsWriter } from '../../services/results/results-writer.ts';
import { defaultStateDirectory, modelDirectories } from '../model-directories.ts';
import { createVersionLoader } from '../models/version-loader.ts';
import { createCameraSpecs } from './camera-specs.ts';
import { createEmbeddedPipeline, type EmbeddedPipeline } from './embedded-pipeline.ts';
import { LiveRows } from './live-rows.ts';
import { readCpuTime } from './process-cpu.ts';
import { startProgressLog } from './progress-log.ts';
import { reportCameras, type RunReport } from './run-report.ts';
import { openRunRollout, startRollouts } from './run-rollout.ts';
import { runSettings, type RunSettings } from './run-settings.ts';
import { withDuration, withEarlierEnd } from './with-duration.ts';

export interface RunRequest {
  readonly configFile?: string;
  /** Settings from the command line, in the shape of `runSettings`. */
  readonly flags: Readonly<Record<string, unknown>>;
}

/** Where people look for it. */
const defaultHttpPort = 8080;
const bytesPerMegabyte = 1024 * 1024;
/** Frames on their way round: a few for each camera of a small site; more cameras take new memory and give it back. */
const pooledFrameBytes = 64 * bytesPerMegabyte;

// What only some runs need is imported where it is needed: start-up is paid for in CPU by all of them.

/** `sightline run`: cameras to results in one process, until the sources end, the time is over or a signal comes. */
export async function run(request: RunRequest): Promise<void> {
  const settings: RunSettings = loadConfig<typeof runSettings, RunSettings>(runSettings, {
    ...(request.configFile === undefined ? {} : { file: request.configFile }),
    environment: process.env,
    flags: request.flags,
  });
  const destination = parseDestination(settings.results);
  if (settings.summary !== undefined) await checkSummaryPlace(settings.summary);
  const stateDir = path.resolve(settings.state_dir ?? defaultStateDirectory(process.env));
  const clock = systemClock;
  const liveRows = new LiveRows(clock);
  let snapshots: () => readonly CameraSnapshot[] = () => [];
  const isLive = process.stderr.isTTY && settings.log.format === 'auto' && settings.log.level === 'info';
  const display = isLive
    ? (await import('./live-display.ts')).createLiveDisplay(process.stderr, () => liveRows.rows(snapshots()))
    : undefined;
  const logger = await createLogger({
    level: settings.log.level,
    ...(display === undefined
      ? { format: settings.log.format }
      : { format: 'pretty', destination: display.destination }),
  });

  const named = createCameraSpecs(settings, process.env);
  const library = createModelLibrary({
    directories: modelDirectories({ modelsDir: settings.models_dir, stateDir }, process.env),
    publicKeyFile: settings.model_key_file,
    inputShape: settings.input_shape,
  });
  const isServed = servesControl(settings);
  const rollout = await openRunRollout(library, { setting: settings.model, stateDir, isServed });
  const { chosen } = rollout;
  const model = await library.load(chosen.nameOrPath);
  if (chosen.reason !== undefined) logger.info({ model: model.manifest.name }, chosen.reason);
  // After the model: a demo clip may be a long download, and without a model it would be for nothing.
  const cameras = named.length > 0 ? named : [await demoCamera(settings, stateDir, logger)];
  const pool = createFrameBufferPool({ maxBytes: pooledFrameBytes });
  const embedding = await loadEmbedding(library, settings.embedding_model, logger);
  const engineOf = createEngineMaker({ settings, stateDir, embedding, pool, clock, logger });
  const engine = engineOf(model);
  const loadVersion = createVersionLoader(library, model);
  const readerGone = Promise.withResolvers<void>();
  const results =
    destination.kind === 'kafka'
      ? (await import('./kafka-results.ts')).createKafkaResults(destination, {
          environment: process.env,
          clock,
          logger,
        })
      : createResultsWriter({
          destination,
          onReaderGone: () => {
            logger.warn({}, 'nobody reads the results on standard output any more: stopping');
            readerGone.resolve();
          },
          rotation: {
            maxFileBytes: settings.rotate.size_mb * bytesPerMegabyte,
            maxFileAgeMs: settings.rotate.minutes * 60_000,
          },
          logger,
          clock,
        });
  const metrics = createMetricStore();
  let geometry = (): InputGeometry => model.manifest.input;
  const openSource = await createFfmpegSources({
    ffmpegPath: settings.ffmpeg,
    geometry: () => geometry(),
    pool,
    policy: { denyLoopback: settings.deny_loopback, denyPrivate: settings.deny_private },
    stateDir,
    clock,
    logger,
  });
  const windowHours = settings.until_end ? 0 : settings.drift_window_hours;
  const drift = await openKeptDriftWatch({
    ...{ windowHours, stateDir, clock, logger, metrics },
    onChange: (change) => control?.drift(change),
  });
  const summary = createRunSummary();
  const served = isServed ? await openServed(clock) : undefined;
  const pipeline = createEmbeddedPipeline({
    cameras,
    openSource,
    engine,
    openEngine: async (ref) => engineOf(await loadVersion(ref)),
    ...(drift && { drift }),
    epochs: await openSqliteEpochStore(stateDir),
    pool,
    results,
    onRecord: (record) => rollouts?.observe(record),
    onDetections: (record) => {
      summary.add(record);
      liveRows.add(record);
      served?.hub.addResult(record);
    },
    ...(served === undefined
      ? {}
      : {
          onStatus: (status) => served.hub.addStatus(status),
          onFrame: served.tap,
          keepsRunning: cameras.some(({ source, loop }) => source.kind !== 'file' || loop),
        }),
    clock,
    logger,
    metrics,
  });
  snapshots = () => pipeline.cameras();
  geometry = () => pipeline.inference.inputGeometry;
  const rollouts = await startRollouts(rollout.log, { stage: pipeline.inference.stage, clock, logger });

  const { name, version, digest } = { ...model.manifest, digest: model.digest };
  logger.info(
    { model: name, version, cameras: cameras.length, results: settings.results, threads: engine.workers },
    'starting',
  );
  const health = served === undefined ? await serveHealth(settings.http, pipeline, metrics, logger) : undefined;
  if (health !== undefined) logger.info({ url: health.url }, 'serving /healthz, /readyz and /metrics');
  const stopProgress = display === undefined ? startProgressLog(logger, () => liveRows.rows(snapshots())) : undefined;
  const startedUs = clock.nowUs();
  const startedMs = clock.monotonicMs();
  await rollouts?.open({ model: { name, version, digest }, when: 'always' });
  const control = await served?.start({
    ...{ stateDir, cameras, pipeline, metrics, clock, logger, hub: served.hub, library, rollouts },
    ...{ oidc: settings.oidc, rolloutLog: rollout.log, events: settings.events },
    ...{ host: settings.http.host, port: settings.http.port ?? defaultHttpPort },
    ...{ isPortFree: settings.http.port === undefined, results: settings.results, allowHttp: settings.allow_http },
    ...{ denyLoopback: settings.deny_loopback, denyPrivate: settings.deny_private },
  });
  if (control !== undefined) {
    logger.info({ url: control.url }, 'serving the API, /docs and /metrics');
    // The link holds a token, so it is for the terminal and not for logs that are kept.
    if (process.stderr.isTTY) process.stderr.write(`open ${control.link}\n`);
  }
  display?.start();
  const outcome = await superviseService(
    withDuration(withEarlierEnd(pipeline, readerGone.promise), settings.duration_s),
    { logger },
  );
  display?.stop();
  stopProgress?.();
  await health?.close();
  await control?.close();
  await rollouts?.close();

  const cpu = readCpuTime();
  const last = pipeline.inference.model;
  const figures = summary.summary({ cpuMs: cpu.totalMs });
  const report: RunReport = {
    sightline_version: packageVersion,
    started_at: new Date(startedUs / 1000).toISOString(),
    ended_at: new Date(clock.nowUs() / 1000).toISOString(),
    wall_seconds: (clock.monotonicMs() - startedMs) / 1000,
    model: { name: last.name, version: last.version, digest: last.digest },
    results: settings.results,
    cpu: { total_ms: cpu.totalMs, children_counted: cpu.children },
    cameras: reportCameras(pipeline.cameras(), figures),
  };
  if (settings.summary !== undefined) await writeSummary(settings.summary, report);
  for (const camera of report.cameras) {
    const {
      camera_id: id,
      frames_analysed: analysed,
      frames_filtered: filtered,
      frames_dropped: dropped,
      objects,
    } = camera;
    logger.info({ camera: id, analysed, filtered, dropped, objects, state: camera.state }, 'camera done');
  }
  logger.info({ results: settings.results, records: pipeline.results().recordsWritten }, 'stopped');
  if (outcome.error !== undefined) throw outcome.error;
  if (outcome.signal === undefined) throwForFailedCameras(pipeline.cameras());
}

/** The API: where a port is named, and for people at a terminal; not for files that are read to their end. */
function servesControl({ http, until_end: untilEnd }: RunSettings): boolean {
  return !untilEnd && (http.port !== undefined || process.stderr.isTTY);
}

async function openServed(clock: Clock) {
  const [{ createPictureTap, startControl }, { LiveHub }] = await Promise.all([
    import('./control.ts'),
    import('../../services/control/core/live-hub.ts'),
  ]);
  const hub = new LiveHub(() => clock.monotonicMs());
  return { hub, tap: createPictureTap(hub), start: startControl };
}

async function demoCamera(settings: RunSettings, stateDir: string, logger: Logger): Promise<CameraSpec> {
  const { createDemoCamera } = await import('./demo-camera.ts');
  return createDemoCamera(settings, stateDir, logger);
}

async function serveHealth(
  { port, host }: RunSettings['http'],
  pipeline: EmbeddedPipeline,
  metrics: MetricStore,
  logger: Logger,
): Promise<HealthServer | undefined> {
  if (port === undefined) return undefined;
  const [{ startHealthServer }, { createMetricsText }] = await Promise.all([
    import('#shared/runtime/health-server'),
    import('#shared/runtime/metrics'),
  ]);
  const readiness = () => pipeline.readiness();
  return startHealthServer({ port, host, readiness, metricsText: createMetricsText(metrics), logger });
}

/** Said before the run and not after hours of it. */
async function checkSummaryPlace(file: string): Promise<void> {
  try {
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    await access(isThere ? file : path.dirname(file), constants.W_OK);
  } catch (error) {
    throw summaryUnwritable(file, error);
  }
}

async function writeSummary(file: string, report: RunReport): Promise<void> {
  try {
    await writeFile(file, `${JSON.stringify(report, undefined, 2)}\n`);
  } catch (error) {
    throw summaryUnwritable(file, error);
  }
}

function summaryUnwritable(file: string, cause: unknown): AppError {
  return new AppError('SIGHTLINE_SUMMARY_UNWRITABLE', `the summary ${file} cannot be written`, { cause });
}

/** A run that ended by itself with a camera that never worked, or stopped working, did not do what was asked. */
function throwForFailedCameras(cameras: readonly CameraSnapshot[]): void {
  const failures = cameras.filter((camera) => camera.errorCode !== null);
  const first = failures[0];
  if (first?.errorCode == null) return;
  const others = failures.length > 1 ? ` (and ${failures.length - 1} more cameras)` : '';
  throw new AppError(first.errorCode, `camera ${first.id}: ${first.reasonText}${others}`);
}
