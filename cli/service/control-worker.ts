import { schemas, type ProducerRecord } from '#schemas';
import { followTopic, type FollowTopicOptions } from '#shared/bus/kafka/follow-topic';
import { partitionOfKey } from '#shared/bus/kafka/murmur2';
import type { Topic } from '#shared/bus/message-bus';
import type { Clock } from '#shared/core/clock';
import { AppError, toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { MetricStore } from '#shared/core/metric-store';
import { createRolloutController } from '#shared/core/rollout/rollout-controller';
import type { Readiness, Service } from '#shared/core/service';
import { createMetricsText } from '#shared/runtime/metrics';
import { packageVersion } from '#shared/runtime/package-version';
import { createTopicCameraRegistry } from '#shared/store/topic-camera-registry';
import { createTopicRolloutLog } from '#shared/store/topic-rollout-log';
import { createApiServer, listen, type ApiServer } from '../../services/control/adapters/http/server.ts';
import { FramePictures } from '../../services/control/adapters/kafka/frame-pictures.ts';
import type { JwtIdentity } from '../../services/control/adapters/jose/jwt-identity.ts';
import type { ControlStore } from '../../services/control/adapters/sqlite/control-store.ts';
import { controlDefaults } from '../../services/control/config.ts';
import type { EventFeed } from '../../services/control/core/events/event.ts';
import { LiveHub } from '../../services/control/core/live-hub.ts';
import { Placements } from '../../services/control/core/placement.ts';
import type {
  CameraDirectory,
  CameraEntry,
  CameraFinder,
  ModelCatalogue,
  ProbeCamera,
  SystemFacts,
} from '../../services/control/core/ports.ts';
import {
  openRegisteredCameras,
  type RegisteredCamerasOptions,
} from '../../services/control/core/registered-cameras.ts';
import { SeenWorkers } from '../../services/control/core/seen-workers.ts';
import { UnattendedCameras } from '../../services/control/core/unattended-cameras.ts';
import { openEventLog, type EventLog } from '../control/event-log.ts';
import { webRoot } from '../control/web-root.ts';
import type { ServiceConnection } from './service-connection.ts';

export interface ControlWorkerOptions {
  readonly connection: ServiceConnection;
  readonly host: string;
  readonly port: number;
  readonly store: ControlStore;
  readonly identity: JwtIdentity | undefined;
  readonly rules: Pick<RegisteredCamerasOptions, 'makeRegistration' | 'revealUrl'>;
  /** Cameras that every ingest was started with: shown, and changed only in their file. */
  readonly fromFile: readonly CameraEntry[];
  readonly probe: ProbeCamera;
  readonly finder: CameraFinder;
  /** Versions whose files are here too. */
  readonly listModels: ModelCatalogue['list'];
  readonly leaseMs: number;
  /** Where events are kept, and how many. */
  readonly events: { readonly directory: string; readonly max_count: number; readonly max_days: number };
  readonly producer: ProducerRecord;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricStore;
}

/** How often it is looked at who watches, who is alone, and whether Kafka answers. */
const lookEveryMs = 1_000;
const looksPerBeat = 3;
const capacityNote =
  'inference runs elsewhere and tells nobody its processors: add inferences while sightline_inference_oldest_frame_seconds stays above a second or frames are EXPIRED';

/** The API of an installation on Kafka: cameras go to a topic, and what it shows comes from topics. It serves from its first moment on. */
export function createControlWorker(options: ControlWorkerOptions): Service {
  const { connection, clock, logger, leaseMs, producer } = options;
  const { bus, topics, serdes } = connection;
  const nowMs = (): number => clock.monotonicMs();
  const stopping = new AbortController();
  const unfollow = new AbortController();
  const hub = new LiveHub(nowMs);
  const placements = new Placements({ leaseMs, nowMs });
  const seen = new SeenWorkers(nowMs);
  const unattended = new UnattendedCameras({
    ...{ placements, graceMs: 2 * leaseMs, producer, nowMs, nowUs: () => clock.nowUs() },
  });
  const common = { openReader: () => connection.openReader(), serdeOf: serdes.serdeOf, clock, logger };
  const registry = createTopicCameraRegistry({ ...common, bus, topic: topics.cameras });
  // Inference carries it out; here steps are made, and gates judged by the records of all.
  const rolloutLog = createTopicRolloutLog({ ...common, bus, topic: topics.models });
  const rollout = createRolloutController({ log: rolloutLog, clock, logger });
  // Topics are read whole at every start, so it is told what happened while no control was up too.
  let eventLog: EventLog | undefined;
  const follow = <Value>(topic: Topic<Value>, more: Omit<FollowTopicOptions<Value>, keyof typeof common | 'topic'>) =>
    followTopic({ ...common, ...more, topic }, unfollow.signal);
  const pictures = new FramePictures({
    hub,
    partitionOf: async (cameraId) => partitionOfKey(cameraId, await framePartitions()),
    follow: (partition, wants, onRecord, signal) =>
      followTopic(
        { ...common, topic: topics.frames, from: 'end', partitions: [partition], wants, onRecord },
        AbortSignal.any([signal, unfollow.signal]),
      ),
    nowMs,
    logger,
  });
  const startedAt = new Date(clock.nowUs() / 1000).toISOString();
  const never = Promise.withResolvers<never>();
  never.promise.catch(() => undefined); // whoever waits for `finished` sees it; before that nobody may be waiting
  let cameras: Awaited<ReturnType<typeof openRegisteredCameras>> | undefined;
  let server: ApiServer | undefined;
  let following: Promise<unknown> | undefined;
  let looking: Promise<void> | undefined;
  let isReady = false;
  /** Why Kafka did not answer the last time. */
  let trouble: string | undefined;
  let framePartitionCount: Promise<number> | undefined;
  let closing: Promise<void> | undefined;

  function framePartitions(): Promise<number> {
    framePartitionCount ??= bus.admin.partitionCount(topics.frames.name).catch((error: unknown) => {
      framePartitionCount = undefined;
      throw error;
    });
    return framePartitionCount;
  }

  function readiness(): Readiness {
    if (stopping.signal.aborted) return { ready: false, reason: 'control is stopping' };
    if (!isReady) return { ready: false, reason: connection.waitsFor ?? 'reading the cameras' };
    const waitsFor = options.identity?.waitsFor;
    if (waitsFor !== undefined) return { ready: false, reason: waitsFor };
    return trouble === undefined ? { ready: true } : { ready: false, reason: `Kafka does not answer: ${trouble}` };
  }

  function facts(): SystemFacts {
    const { ready, reason = null } = readiness();
    const ingests = placements.ingests().map(({ instanceId, cameras: held, silentMs }) => ({
      name: `ingest ${instanceId.slice(0, 8)}`,
      ready: true,
      reason: `${held.size} cameras, heard of ${seconds(silentMs)} s ago`,
    }));
    const workers = seen.workers().map(({ instanceId, silentMs }) => ({
      name: `inference ${instanceId.slice(0, 8)}`,
      ready: true,
      reason: `last result ${seconds(silentMs)} s ago`,
    }));
    const model = rollout.state().active ?? seen.models().at(-1);
    const results = `topic ${topics.detections.name}`;
    return {
      ...{ version: packageVersion, mode: 'distributed', started_at: startedAt, results, capacity_note: capacityNote },
      model: model === undefined ? null : { name: model.name, version: model.version, digest: model.digest },
      topics: [
        {
          name: topics.detections.name,
          consumer: 'sightline results tail "kafka://$KAFKA_BROKERS/?registry=$SCHEMA_REGISTRY_URL"',
        },
      ],
      services: [{ name: 'control', ready, reason }, ...ingests, ...workers],
    };
  }

  function rolloutWhileKnown(): ModelCatalogue['rollout'] {
    return {
      state: () => rollout.state(),
      history: () => rollout.history(),
      report: () => rollout.report(),
      async execute(command) {
        if (!isReady) throw notYet(readiness().reason ?? '');
        return rollout.execute(command);
      },
    };
  }

  async function openApi(directory: CameraDirectory, events: EventFeed): Promise<ApiServer> {
    return createApiServer({
      ...controlDefaults,
      ...webRoot(),
      ports: {
        cameras: whileKnown(directory, () => {
          if (!isReady) throw notYet(readiness().reason ?? '');
        }),
        live: hub,
        events,
        tokens: options.store.tokens,
        identity: options.identity ?? null,
        audit: options.store.audit,
        probe: options.probe,
        finder: options.finder,
        system: { facts, load: () => null, placementOf: (id) => placements.of(id) },
        models: { list: options.listModels, rollout: rolloutWhileKnown() },
        schemas: Object.values(schemas).map(({ name, version, schema }) => ({ name, version, schema })),
        readiness,
        metricsText: createMetricsText(options.metrics),
        clock,
        logger,
      },
    });
  }

  function followAll(): Promise<unknown> {
    /** What was passed on already comes again after trouble; the offsets of a camera's statuses grow. */
    const told = new Map<string, bigint>();
    return Promise.all([
      follow(topics.cameraClaims, {
        onRecord: ({ key, value, offset }) => {
          // As ingest reckons it.
          if (value === null) placements.forget(key);
          else placements.claimed(value, Number(offset) + 1);
        },
      }),
      follow(topics.ingestPresence, {
        onRecord: ({ value, ageMs }) => {
          if (value !== null) placements.heard(value, ageMs);
        },
      }),
      follow(topics.cameraStatus, {
        onRecord: ({ key, value, offset }) => {
          if (value === null || offset <= (told.get(key) ?? -1n)) return;
          told.set(key, offset);
          hub.addStatus(value);
        },
      }),
      follow(topics.drift, {
        // Each state brings the last changes along, so those that were made while no control was up are told too; the same one is kept once.
        onRecord: ({ value }) => {
          if (value !== null) eventLog?.events.driftState(value);
        },
      }),
      follow(topics.detections, {
        from: 'end',
        onRecord: ({ value }) => {
          if (value === null) return;
          rollout.observe(value);
          // What a model in shadow saw is no result of the camera.
          if (value.model.role === 'SHADOW') return;
          seen.addResult(value);
          hub.addResult(value);
        },
      }),
    ]);
  }

  async function beat(): Promise<void> {
    try {
      await bus.admin.offsets(topics.cameras.name);
      if (trouble !== undefined) {
        logger.info({}, 'Kafka answers again');
        placements.excuse();
        unattended.excuse();
      }
      trouble = undefined;
    } catch (thrown) {
      const error = toAppError(thrown);
      if (trouble === undefined) logger.warn({ code: error.code, reason: error.message }, 'Kafka does not answer');
      trouble = error.message;
    }
  }

  async function look(directory: CameraDirectory): Promise<void> {
    for (let round = 0; !stopping.signal.aborted; round++) {
      if (round % looksPerBeat === 0) await beat();
      await pictures.look();
      if (trouble === undefined) {
        const enabled = directory.list().flatMap((camera) => (camera.enabled ? [camera.id] : []));
        for (const status of unattended.look(enabled, (id) => hub.status(id))) {
          const { camera_id: camera, state, reason_text: reason } = status;
          logger.warn({ camera, state, reason }, 'who reads a camera has changed');
          hub.addStatus(status);
        }
      }
      await clock.sleep(lookEveryMs, stopping.signal).catch(() => undefined);
    }
  }

  async function start(): Promise<void> {
    cameras = await openRegisteredCameras({ ...options.rules, registry, fromFile: options.fromFile });
    const { directory, ...keep } = options.events;
    eventLog = openEventLog({ directory, keep, live: hub, registry, rolloutLog, clock, logger });
    server = await openApi(cameras, eventLog.events);
    const url = await listen(server.app, { host: options.host, port: options.port });
    logger.info({ url }, 'serving the API and the page');
    const { cameras: registered, cameraStatus, detections, frames, cameraClaims, ingestPresence } = topics;
    const all = [
      registered,
      cameraStatus,
      detections,
      frames,
      cameraClaims,
      ingestPresence,
      topics.models,
      topics.drift,
    ];
    const names = all.map(({ name }) => name);
    await connection.ready(names, stopping.signal);
    following = followAll();
    registry.watch(({ cameraId, registration }) => {
      if (registration === null) hub.forget(cameraId);
    });
    await connection.persist('registered cameras', () => registry.open(), stopping.signal);
    await connection.persist('roll-out of models', () => rollout.open(), stopping.signal);
    isReady = true;
    // Somebody who begins to look does not wait for the next round.
    hub.onWanted = () => {
      if (!stopping.signal.aborted) void pictures.look(); // never rejects
    };
    looking = look(cameras);
    looking.catch(never.reject);
    logger.info({ cameras: cameras.list().length }, 'the cameras are known');
  }

  async function close(): Promise<void> {
    stopping.abort();
    const steps: (() => unknown)[] = [
      () => server?.app.close(),
      () => looking,
      () => {
        unfollow.abort();
      },
      () => pictures.close(),
      () => following,
      () => options.identity?.close(),
      () => eventLog?.close(),
      () => {
        cameras?.close();
      },
      () => rollout.close(),
      () => registry.close(),
      () => {
        options.store.close();
      },
      () => connection.close(),
    ];
    const failures: unknown[] = [];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  return {
    name: 'control',
    start,
    finished: never.promise,
    drain() {
      stopping.abort();
      return Promise.resolve();
    },
    close: () => (closing ??= close()),
    readiness,
  };
}

/** An empty list would say that there are no cameras; before they were read nobody knows. */
function whileKnown(directory: CameraDirectory, check: () => void): CameraDirectory {
  const known = (): CameraDirectory => {
    check();
    return directory;
  };
  return {
    list: () => known().list(),
    get: (id) => known().get(id),
    check: (draft) => known().check(draft),
    create: (draft) => known().create(draft),
    update: (id, patch, expectedVersion) => known().update(id, patch, expectedVersion),
    remove: (id, expectedVersion) => known().remove(id, expectedVersion),
    draftOf: (id) => known().draftOf(id),
  };
}

function notYet(reason: string): AppError {
  return new AppError('SIGHTLINE_KAFKA_UNREACHABLE', `the cameras have not been read yet: ${reason}`, {
    retryable: true,
  });
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
