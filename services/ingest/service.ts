import type { CameraStatus, DropReason, ProducerRecord } from '#schemas';
import type { Clock } from '#shared/core/clock';
import type { AppError } from '#shared/core/errors';
import type { SampledFrame } from '#shared/core/frame';
import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { Logger } from '#shared/core/logger';
import type { Counter, Metrics } from '#shared/core/metrics';
import type { Readiness, Service } from '#shared/core/service';
import type { IngestConfig } from './config.ts';
import { checkCameraNames, isSameCamera, type CameraSpec } from './core/camera-spec.ts';
import { CameraSupervisor, type CameraSnapshot } from './core/camera-supervisor.ts';
import type { FrameOutcome } from './core/frame-handover.ts';
import type { EpochStore, OpenFrameSource } from './core/ports.ts';
import { ReconnectPlan } from './core/reconnect-plan.ts';
import { refusedCamera } from './core/refused-camera.ts';

export interface IngestServiceOptions {
  /** Those that are there from the start. */
  readonly cameras: readonly CameraSpec[];
  /** False where cameras come and go while it runs: it then never ends by itself. Default true. */
  readonly endsWithCameras?: boolean;
  readonly config: IngestConfig;
  readonly openSource: OpenFrameSource;
  /** Resolves when the frame was taken over. Its image belongs to the taker from the call on. */
  readonly publishFrame: (frame: SampledFrame) => Promise<void>;
  readonly publishStatus: (status: CameraStatus) => Promise<void>;
  readonly epochs: EpochStore;
  readonly pool: FrameBufferPool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly producer: ProducerRecord;
  /** True while whoever takes frames does not answer. */
  readonly isBusTroubled?: () => boolean;
  /** 0 ≤ value < 1; spreads reconnects. */
  readonly random: () => number;
}

export interface IngestService extends Service {
  /**
   * Starts a camera, or replaces the one of this name where something about it changed or it has ended: the old one hands on its last frames and tells its
   * end, then the new one begins, with an epoch of its own. Resolves when the new one runs.
   */
  put(camera: CameraSpec): Promise<void>;
  /** A camera that cannot even be tried: it is REJECTED, with the reason, until it is put again. */
  refuse(cameraId: string, error: AppError): Promise<void>;
  /** Stops a camera: its last frames are handed on and its end is told. One that is not there is no error. */
  remove(cameraId: string): Promise<void>;
  cameras(): readonly CameraSnapshot[];
}

interface Slot {
  readonly camera: CameraSpec;
  readonly supervisor: CameraSupervisor;
  /** It was read to its end or refused for good: whoever puts it again wants it to begin anew. */
  hasEnded: boolean;
}

/**
 * Reads all cameras, each on its own: what happens to one never stops another. `finished` resolves when every one reached its end, unless
 * cameras come and go (`endsWithCameras: false`).
 */
export function createIngestService(options: IngestServiceOptions): IngestService {
  const { config, clock } = options;
  const counters = createCounters(options.metrics);
  const slots = new Map<string, Slot>();
  /** Changes of one camera happen one after the other; those of two do not wait for each other. */
  const lanes = new Map<string, Promise<void>>();
  const finished = Promise.withResolvers<void>();
  let isStarted = false;
  let isDraining = false;
  let closing: Promise<void> | null = null;

  checkCameraNames(options.cameras);
  for (const camera of options.cameras) add(camera, options.openSource);

  function add(camera: CameraSpec, openSource: OpenFrameSource): void {
    const ofCamera = counters.of(camera.id);
    const supervisor = new CameraSupervisor({
      ...options,
      camera,
      openSource,
      logger: options.logger.child({ camera: camera.id }),
      reconnectPlan: new ReconnectPlan({ ...config.reconnect, random: options.random }),
      queueCapacity: config.queueCapacity,
      fileQueueCapacity: config.fileQueueCapacity,
      onOutcome: ofCamera.onOutcome,
      onDecodeErrors: ofCamera.onDecodeErrors,
      onReconnect: ofCamera.onReconnect,
    });
    ofCamera.follow(() => supervisor.snapshot());
    const slot: Slot = { camera, supervisor, hasEnded: false };
    slots.set(camera.id, slot);
    if (isStarted) run(slot);
  }

  function run(slot: Slot): void {
    // A supervisor's run does not reject; were it to, the service would have failed and says so.
    slot.supervisor.run().then(() => {
      slot.hasEnded = true;
    }, finished.reject);
  }

  /** Resolves when everything of it is told and gone, or the time for it is over: a reader that hangs must not hold the next one up. */
  async function retire({ supervisor }: Slot): Promise<void> {
    if (!isStarted) return;
    const limit = new AbortController();
    const over = (): Promise<boolean> =>
      clock.sleep(config.closeTimeoutMs, limit.signal).then(
        () => false,
        () => true,
      );
    const ended = supervisor.run().then(() => true);
    supervisor.stop();
    if (!(await Promise.race([ended, over()]))) {
      supervisor.abandon();
      await Promise.race([ended, over()]);
    }
    limit.abort();
  }

  async function inLane(cameraId: string, change: () => Promise<void>): Promise<void> {
    // The one before told its own caller how it ended.
    const turn = (lanes.get(cameraId) ?? Promise.resolve()).then(change, change);
    lanes.set(cameraId, turn);
    try {
      await turn;
    } finally {
      if (lanes.get(cameraId) === turn) lanes.delete(cameraId);
    }
  }

  function replace(camera: CameraSpec, openSource: OpenFrameSource, mayStay: boolean): Promise<void> {
    return inLane(camera.id, async () => {
      const current = slots.get(camera.id);
      if (current !== undefined) {
        if (mayStay && !current.hasEnded && isSameCamera(current.camera, camera)) return;
        await retire(current);
        counters.changed(camera.id);
      }
      if (!isDraining) add(camera, openSource);
    });
  }

  function remove(cameraId: string): Promise<void> {
    return inLane(cameraId, async () => {
      const current = slots.get(cameraId);
      if (current === undefined) return;
      await retire(current);
      slots.delete(cameraId);
      counters.forget(cameraId);
    });
  }

  async function allEnded(): Promise<void> {
    if (isStarted) await Promise.all([...slots.values()].map(({ supervisor }) => supervisor.run()));
  }

  async function drain(): Promise<void> {
    isDraining = true;
    for (const { supervisor } of slots.values()) supervisor.stop();
    await Promise.allSettled(lanes.values());
    await allEnded();
    // Nobody waits for cameras that could still come.
    if (options.endsWithCameras === false) finished.resolve();
  }

  async function close(): Promise<void> {
    isDraining = true;
    for (const { supervisor } of slots.values()) supervisor.abandon();
    const limit = new AbortController();
    // Whoever takes frames may be the one that hangs; a limit here keeps a stuck bus from holding the whole process.
    await Promise.race([allEnded(), clock.sleep(config.closeTimeoutMs, limit.signal).catch(() => undefined)]);
    limit.abort();
    await options.epochs.close();
  }

  return {
    name: 'ingest',
    finished: finished.promise,
    start() {
      if (!isStarted) {
        isStarted = true;
        for (const slot of slots.values()) run(slot);
        const ended = allEnded();
        if (options.endsWithCameras === false) ended.catch(finished.reject);
        else ended.then(finished.resolve, finished.reject);
      }
      return Promise.resolve();
    },
    drain,
    close() {
      closing ??= close();
      return closing;
    },
    put: (camera) => replace(camera, options.openSource, true),
    async refuse(cameraId, error) {
      const { camera, openSource } = refusedCamera(cameraId, error);
      await replace(camera, openSource, false);
    },
    remove,
    readiness(): Readiness {
      if (!isStarted) return { ready: false, reason: 'ingest has not started' };
      if (isDraining) return { ready: false, reason: 'ingest is stopping' };
      // A camera that is down is told by its status and metric; the process itself does its work.
      return { ready: true };
    },
    cameras: () => [...slots.values()].map(({ supervisor }) => supervisor.snapshot()),
  };
}

function createCounters(metrics: Metrics) {
  const perCamera = ['camera'] as const;
  const received = metrics.counter({
    name: 'sightline_frames_received_total',
    help: 'Sampled frames that came from a camera.',
    labels: perCamera,
  });
  const filtered = metrics.counter({
    name: 'sightline_frames_filtered_total',
    help: 'Frames that the frame filter held back because nothing had changed.',
    labels: perCamera,
  });
  const dropped = metrics.counter({
    name: 'sightline_frames_dropped_total',
    help: 'Frames dropped at ingest, by reason.',
    labels: ['camera', 'reason'],
  });
  const decodeErrors = metrics.counter({
    name: 'sightline_decode_errors_total',
    help: 'Pictures that the decoder reported as damaged.',
    labels: perCamera,
  });
  const up = metrics.gauge({
    name: 'sightline_camera_up',
    help: '1 while pictures arrive from the camera, else 0.',
    labels: perCamera,
  });
  const reconnects = metrics.counter({
    name: 'sightline_camera_reconnects_total',
    help: 'Attempts to connect again since the start.',
    labels: perCamera,
  });
  const changes = metrics.counter({
    name: 'sightline_camera_changes_total',
    help: 'Times that a camera was stopped and begun anew: its address, rate, masks or the like were changed, or it had ended.',
    labels: perCamera,
  });

  const reasons = new Map<string, Set<DropReason>>();
  const of = (camera: string) => {
    const ofCamera = {
      received: received.with({ camera }),
      filtered: filtered.with({ camera }),
      errors: decodeErrors.with({ camera }),
      reconnects: reconnects.with({ camera }),
    };
    const drops = new Map<DropReason, Counter>();
    return {
      onOutcome: (outcome: FrameOutcome): void => {
        switch (outcome.kind) {
          case 'received':
            ofCamera.received.add();
            break;
          case 'filtered':
            ofCamera.filtered.add();
            break;
          case 'handed-on':
            break;
          case 'dropped': {
            const { reason } = outcome;
            let counter = drops.get(reason);
            if (counter === undefined) {
              drops.set(reason, (counter = dropped.with({ camera, reason })));
              reasons.set(camera, (reasons.get(camera) ?? new Set()).add(reason));
            }
            counter.add();
            break;
          }
        }
      },
      onDecodeErrors: (count: number) => ofCamera.errors.add(count),
      onReconnect: () => ofCamera.reconnects.add(),
      follow(snapshot: () => CameraSnapshot): void {
        up.with({ camera }).follow(() => (['ONLINE', 'DEGRADED'].includes(snapshot().state) ? 1 : 0));
      },
    };
  };
  return {
    of,
    changed: (camera: string): void => changes.with({ camera }).add(),
    /** A removed camera's series would stand still for ever. */
    forget(camera: string): void {
      for (const family of [received, filtered, decodeErrors, up, reconnects, changes]) family.remove({ camera });
      for (const reason of reasons.get(camera) ?? []) dropped.remove({ camera, reason });
      reasons.delete(camera);
    },
  };
}
