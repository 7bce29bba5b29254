import { yuv420Bytes } from '#shared/core/yuv420';
import type { CameraStatus } from '#schemas';
import type { Clock } from '#shared/core/clock';
import type { SampledFrame } from '#shared/core/frame';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { Logger } from '#shared/core/logger';
import { createMetricStore } from '#shared/core/metric-store';
import { createMemoryEpochStore } from '#shared/store/memory-epoch-store';
import { ingestDefaults, type IngestConfig } from '../../services/ingest/config.ts';
import type { CameraSpec } from '../../services/ingest/core/camera-spec.ts';
import type {
  FrameSink,
  FrameSource,
  OpenFrameSource,
  SourceFrame,
  StreamEnd,
} from '../../services/ingest/core/ports.ts';
import { createIngestService } from '../../services/ingest/service.ts';

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLogger };

export const producer = { service: 'ingest', instance_id: 'test', version: '0.0.0' };

/** A clock whose hands the test moves; what sleeps wakes when its time has come. */
export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #sleepers = new Set<{ readonly atMs: number; readonly wake: () => void }>();

  nowUs(): number {
    return 1_700_000_000_000_000 + this.#nowMs * 1000;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(new Error('aborted'));
      };
      const sleeper = {
        atMs: this.#nowMs + delayMs,
        wake: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      if (signal?.aborted === true) {
        reject(new Error('aborted'));
        return;
      }
      signal?.addEventListener('abort', abort, { once: true });
      this.#sleepers.add(sleeper);
    });
  }

  /** The process stood still for so long: what fell due meanwhile runs with the next advance, all of it at the time of then. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
  }

  /** Moves the time, wakes sleepers in order, and lets what they woke run. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      await settle();
      const next = [...this.#sleepers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#sleepers.delete(next);
      next.wake();
    }
    this.#nowMs = untilMs;
    await settle();
  }
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export function grayFrame(ptsMs: number, level = 100, widthPx = 64, heightPx = 48): SourceFrame {
  const data = new Uint8Array(yuv420Bytes({ widthPx, heightPx }));
  // Not one flat colour, or it would be a frozen picture of nothing.
  for (let index = 0; index < data.length; index++) data[index] = level + ((index * 7) % 16);
  const image = { format: 'yuv420p', widthPx, heightPx, data } as const;
  return {
    times: {
      captureTimeUs: 1_700_000_000_000_000 + ptsMs * 1000,
      captureTimeSource: 'ARRIVAL',
      captureTimeErrorMs: null,
      ingestTimeUs: 1_700_000_000_000_000 + ptsMs * 1000,
      ptsUs: ptsMs * 1000,
    },
    sourceWidthPx: 640,
    sourceHeightPx: 480,
    image,
  };
}

/** One connection as the test plays it. */
export interface ScriptedConnection {
  readonly camera: CameraSpec;
  readonly sink: FrameSink;
  readonly signal: AbortSignal;
  end(end: StreamEnd): void;
}

/** A source whose connections the test plays by hand; it honours a stop like a real one. */
export function scriptedSources(onConnect: (connection: ScriptedConnection, count: number) => void): OpenFrameSource {
  let count = 0;
  return (camera): FrameSource => ({
    run: (sink, signal) =>
      new Promise((resolve) => {
        const end = (result: StreamEnd): void => resolve(result);
        const stop = (): void => end({ reason: 'STOPPED', text: 'stopped', error: null });
        if (signal.aborted) stop();
        signal.addEventListener('abort', stop, { once: true });
        onConnect({ camera, sink, signal, end }, ++count);
      }),
  });
}

export interface IngestHarnessOptions {
  readonly cameras: readonly CameraSpec[];
  readonly endsWithCameras?: boolean;
  readonly openSource: OpenFrameSource;
  readonly clock: Clock;
  readonly config?: Partial<IngestConfig>;
  readonly publishFrame?: (frame: SampledFrame) => Promise<void>;
  readonly logger?: Logger;
  /** Default 0.999: the longest wait of each step, so that a test knows it. */
  readonly random?: () => number;
}

/** The ingest service with everything around it in memory, and what came out of it. */
export function ingestHarness(options: IngestHarnessOptions) {
  const frames: SampledFrame[] = [];
  const statuses: CameraStatus[] = [];
  const metrics = createMetricStore();
  const service = createIngestService({
    cameras: options.cameras,
    ...(options.endsWithCameras === undefined ? {} : { endsWithCameras: options.endsWithCameras }),
    config: { ...ingestDefaults, ...options.config },
    openSource: options.openSource,
    publishFrame: async (frame) => {
      await options.publishFrame?.(frame);
      frames.push(frame);
    },
    publishStatus: async (status) => {
      statuses.push(status);
    },
    epochs: createMemoryEpochStore(),
    pool: createFrameBufferPool({ maxBytes: 1 << 24 }),
    clock: options.clock,
    logger: options.logger ?? silentLogger,
    metrics,
    producer,
    random: options.random ?? (() => 0.999),
  });
  return { service, frames, statuses, metrics };
}

/** What a reader of the records proves: per camera and epoch every frame is told of exactly once. */
export function accountingGaps(frames: readonly SampledFrame[]): string[] {
  const last = new Map<string, number>();
  const gaps: string[] = [];
  for (const { cameraId, epoch, frameSeq, accounting } of frames) {
    const key = `${cameraId}/${epoch}`;
    const told =
      accounting.frames_analysed +
      accounting.frames_filtered +
      accounting.frames_dropped_ingest +
      accounting.frames_dropped_deadline +
      accounting.frames_failed;
    const passed = frameSeq - (last.get(key) ?? 0);
    if (passed < 1 || accounting.frames_received !== passed || told !== passed) {
      gaps.push(`${key} frame ${frameSeq}: ${passed} passed, ${accounting.frames_received} received, ${told} told`);
    }
    last.set(key, frameSeq);
  }
  return gaps;
}
