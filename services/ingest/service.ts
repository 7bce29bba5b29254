import type { CameraStatus, DropReason, ProducerRecord } from '#schemas';
import type { Clock } from '#shared/core/clock';
import type { SampledFrame } from '#shared/core/frame';
import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { Logger } from '#shared/core/logger';
import type { Counter, Metrics } from '#shared/core/metrics';
import type { Readiness, Service } from '#shared/core/service';
import type { IngestConfig } from './config.ts';
import { checkCameraNames, type CameraSpec } from './core/camera-spec.ts';
import { CameraSupervisor, type CameraSnapshot } from './core/camera-supervisor.ts';
import type { FrameOutcome } from './core/frame-handover.ts';
import type { EpochStore, OpenFrameSource } from './core/ports.ts';
import { ReconnectPlan } from './core/reconnect-plan.ts';

export interface IngestServiceOptions {
  readonly cameras: readonly CameraSpec[];
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
  cameras(): readonly CameraSnapshot[];
}

/** Reads all cameras, each on its own: what happens to one never stops another. `finished` resolves when every one reached its end. */
export function createIngestService(options: IngestServiceOptions): IngestService {
  const { cameras, config, clock } = options;
  checkCameraNames(cameras);
  const countersOf = createCounters(options.metrics);
  const supervisors = cameras.map((camera) => {
    const counters = countersOf(camera.id);
    const supervisor = new CameraSupervisor({
      ...options,
      camera,
      logger: options.logger.child({ camera: camera.id }),
      reconnectPlan: new ReconnectPlan({ ...config.reconnect, random: options.random }),
      queueCapacity: config.queueCapacity,
      onOutcome: counters.onOutcome,
      onDecodeErrors: counters.onDecodeErrors,
      onReconnect: counters.onReconnect,
    });
    counters.follow(() => supervisor.snapshot());
    return supervisor;
  });

  const finished = Promise.withResolvers<void>();
  let isStarted = false;
  let isDraining = false;
  let closing: Promise<void> | null = null;

  async function allEnded(): Promise<void> {
    if (isStarted) await Promise.all(supervisors.map((supervisor) => supervisor.run()));
  }

  async function drain(): Promise<void> {
    isDraining = true;
    for (const supervisor of supervisors) supervisor.stop();
    await allEnded();
  }

  async function close(): Promise<void> {
    isDraining = true;
    for (const supervisor of supervisors) supervisor.abandon();
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
        // A supervisor's run does not reject; were it to, the service would have failed and says so.
        allEnded().then(finished.resolve, finished.reject);
      }
      return Promise.resolve();
    },
    drain,
    close() {
      closing ??= close();
      return closing;
    },
    readiness(): Readiness {
      if (!isStarted) return { ready: false, reason: 'ingest has not started' };
      if (isDraining) return { ready: false, reason: 'ingest is stopping' };
      // A camera that is down is told by its status and metric; the process itself does its work.
      return { ready: true };
    },
    cameras: () => supervisors.map((supervisor) => supervisor.snapshot()),
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

  return (camera: string) => {
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
            if (counter === undefined) drops.set(reason, (counter = dropped.with({ camera, reason })));
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
}
