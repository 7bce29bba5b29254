import type { CameraClaim, CameraRegistration, ProducerRecord } from '#schemas';
import type { TopicReader } from '#shared/bus/kafka/topic-reader';
import { followTopic, type FollowedRecord } from '#shared/bus/kafka/follow-topic';
import { closeAll } from '#shared/core/close-all';
import type { Clock } from '#shared/core/clock';
import { toAppError } from '#shared/core/errors';
import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { Logger } from '#shared/core/logger';
import type { Metrics } from '#shared/core/metrics';
import type { SecretBox } from '#shared/core/secret-box';
import type { Service } from '#shared/core/service';
import { createTopicCameraRegistry } from '#shared/store/topic-camera-registry';
import { ingestDefaults } from '../../services/ingest/config.ts';
import { BusOutlet } from '../../services/ingest/core/bus-outlet.ts';
import { createFrameEncoder } from '../../services/ingest/core/frame-encoder.ts';
import { CameraKeeper, type RunningCamera } from '../../services/ingest/core/camera-keeper.ts';
import { specFromRegistration } from '../../services/ingest/core/camera-registration.ts';
import type { CameraSpec } from '../../services/ingest/core/camera-spec.ts';
import type { OpenFrameSource } from '../../services/ingest/core/ports.ts';
import { PresenceLeases } from '../../services/ingest/core/presence-leases.ts';
import { refusedCamera } from '../../services/ingest/core/refused-camera.ts';
import { createIngestService } from '../../services/ingest/service.ts';
import type { ServiceConnection } from './service-connection.ts';

export interface IngestWorkerOptions {
  readonly connection: ServiceConnection;
  /** Cameras of the installation beside the registered ones; this ingest takes its share of all. */
  readonly cameras: readonly CameraSpec[];
  readonly secretBox: SecretBox;
  readonly openSource: OpenFrameSource;
  readonly leaseMs: number;
  readonly maxCameras: number;
  readonly pool: FrameBufferPool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly producer: ProducerRecord;
}

/** What a camera that is stopped gets to hand on its last frames; less than the supervisor gives the whole process. */
const handOnTimeoutMs = 8_000;

/** Cameras in, frames out, as one of several that share the cameras. */
export function createIngestWorker(options: IngestWorkerOptions): Service {
  const { connection, clock, logger, producer } = options;
  const { bus, topics } = connection;
  const stopping = new AbortController();
  const outlet = new BusOutlet({ clock, logger });
  const encode = createFrameEncoder();
  /** Epochs of the cameras that run here. */
  const epochs = new Map<string, number>();
  const never = Promise.withResolvers<never>();
  never.promise.catch(() => undefined); // whoever waits for `finished` sees it; before that nobody may be waiting
  const leases = new PresenceLeases({
    publish: async (value) =>
      Number((await bus.publishWithOffset(topics.ingestPresence, { key: value.instance_id, value })).offset),
    version: producer.version,
    clock,
  });
  const keeper = new CameraKeeper({ ...options, leases, owner: producer.instance_id, startCamera });
  const specs = new Map<string, { readonly version: number; readonly spec: CameraSpec }>();
  /** Registrations that cannot be used: the ingest whose share such a camera is says so on its status. */
  const refusals = new WeakMap<CameraSpec, OpenFrameSource>();
  const { serdes } = connection;
  const openReader = (): TopicReader => connection.openReader();
  const registry = createTopicCameraRegistry({
    bus,
    topic: topics.cameras,
    openReader,
    serdeOf: serdes.serdeOf,
    clock,
    logger,
  });
  const unfollow = new AbortController();
  let following: Promise<unknown> | undefined;
  let isStarted = false;
  let closing: Promise<void> | undefined;

  async function claim(cameraId: string, signal: AbortSignal): Promise<number> {
    const value: CameraClaim = { camera_id: cameraId, time: clock.nowUs(), producer };
    const { offset } = await outlet.send(
      () => bus.publishWithOffset(topics.cameraClaims, { key: cameraId, value }),
      signal,
    );
    // Offsets begin at 0 and epochs at 1.
    const epoch = Number(offset) + 1;
    epochs.set(cameraId, epoch);
    return epoch;
  }

  function startCamera(camera: CameraSpec): RunningCamera {
    const abandoned = new AbortController();
    let isLost = false;
    const service = createIngestService({
      ...options,
      openSource: refusals.get(camera) ?? options.openSource,
      cameras: [camera],
      config: ingestDefaults,
      async publishFrame(frame) {
        const value = encode(frame);
        await outlet.send(() => bus.publish(topics.frames, { key: camera.id, value }), abandoned.signal);
        // Only where it was sent: pixels of a frame that is dropped are given back by whoever drops it.
        if (frame.image?.format === 'yuv420p') options.pool.give(frame.image.data);
      },
      publishStatus: async (status) => {
        // The camera's word is the other ingest's by now.
        if (isLost) return;
        await outlet.send(() => bus.publish(topics.cameraStatus, { key: camera.id, value: status }), abandoned.signal);
      },
      epochs: { next: (cameraId) => claim(cameraId, abandoned.signal), close: () => Promise.resolve() },
      isBusTroubled: () => outlet.trouble !== undefined,
      random: Math.random,
    });
    const close = async (): Promise<void> => {
      abandoned.abort();
      await service.close();
      epochs.delete(camera.id);
    };
    let ending: Promise<void> | undefined;
    void service.start(); // resolves at once; its end is `finished`
    return {
      ended: service.finished.catch((error: unknown) => {
        logger.error({ camera: camera.id, reason: toAppError(error).message }, 'a camera failed');
      }),
      stop: () =>
        (ending ??= (async () => {
          const limit = new AbortController();
          await Promise.race([service.drain(), clock.sleep(handOnTimeoutMs, limit.signal).catch(() => undefined)]);
          limit.abort();
          await close();
        })()),
      giveUp() {
        isLost = true;
        return (ending ??= close());
      },
    };
  }

  /** A registration that did not change gives the camera that it gave before: the keeper knows it by that. */
  function specOf(registration: CameraRegistration): CameraSpec {
    const { camera_id: id, config_version: version } = registration;
    const known = specs.get(id);
    if (known?.version === version) return known.spec;
    let spec: CameraSpec;
    try {
      spec = specFromRegistration(registration, options.secretBox);
    } catch (thrown) {
      const error = toAppError(thrown);
      logger.error({ camera: id, code: error.code, reason: error.message }, 'a registration cannot be used');
      const refused = refusedCamera(id, error);
      spec = refused.camera;
      refusals.set(spec, refused.openSource);
    }
    specs.set(id, { version, spec });
    return spec;
  }

  function wantAll(): void {
    const all = new Map<string, CameraSpec>();
    for (const registration of registry.current()) {
      if (registration.enabled) all.set(registration.camera_id, specOf(registration));
    }
    // What stands in the file of an operator goes before what was registered.
    for (const camera of options.cameras) all.set(camera.id, camera);
    keeper.want([...all.values()]);
  }

  /** A newer claim than ours means that the camera is another's. */
  function heardClaim({ value, offset }: FollowedRecord<CameraClaim>): void {
    if (value === null || value.producer.instance_id === producer.instance_id) return;
    if (Number(offset) + 1 > (epochs.get(value.camera_id) ?? Infinity)) keeper.claimedElsewhere(value.camera_id);
  }

  async function start(): Promise<void> {
    const names = [
      topics.cameras.name,
      topics.frames.name,
      topics.cameraStatus.name,
      topics.cameraClaims.name,
      topics.ingestPresence.name,
    ];
    await connection.ready(names, stopping.signal);
    const common = { openReader, serdeOf: serdes.serdeOf, clock, logger };
    following = Promise.all([
      followTopic({ ...common, topic: topics.cameraClaims, onRecord: heardClaim }, unfollow.signal),
      followTopic(
        {
          ...common,
          topic: topics.ingestPresence,
          onRecord: ({ value, offset, ageMs }) => {
            if (value !== null) leases.heard(value, Number(offset), ageMs);
          },
        },
        unfollow.signal,
      ),
    ]);
    registry.watch(wantAll);
    await connection.persist('registered cameras', () => registry.open(), stopping.signal);
    wantAll();
    keeper.start();
    isStarted = true;
    logger.info({ cameras: options.cameras.length }, 'sharing the cameras with the other ingests');
  }

  async function close(): Promise<void> {
    stopping.abort();
    const endFollowing = async (): Promise<void> => {
      unfollow.abort();
      await following;
    };
    await closeAll([() => keeper.stop(), () => registry.close(), endFollowing, () => connection.close()]);
  }

  return {
    name: 'ingest',
    start,
    finished: never.promise,
    async drain() {
      stopping.abort();
      await keeper.stop();
    },
    close: () => (closing ??= close()),
    readiness() {
      if (stopping.signal.aborted) return { ready: false, reason: 'ingest is stopping' };
      if (!isStarted) return { ready: false, reason: connection.waitsFor ?? 'starting' };
      const { trouble } = outlet;
      if (trouble !== undefined) return { ready: false, reason: `Kafka does not take frames: ${trouble.message}` };
      if (keeper.trouble !== undefined) return { ready: false, reason: `leases do not work: ${keeper.trouble}` };
      return { ready: true };
    },
  };
}
