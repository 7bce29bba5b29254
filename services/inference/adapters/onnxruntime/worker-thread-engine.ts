import { availableParallelism } from 'node:os';
import { BoundedQueue } from '#shared/core/bounded-queue';
import type { Clock } from '#shared/core/clock';
import { AppError } from '#shared/core/errors';
import type { FrameImage } from '#shared/core/frame';
import type { Logger } from '#shared/core/logger';
import { embeddingModelName, embeddingRules } from '../../core/embedding.ts';
import type { ThresholdOverrides } from '../../core/model.ts';
import type {
  EngineOutcome,
  EngineState,
  ExecutionProvider,
  InferenceEngine,
  VerifiedEmbedding,
  VerifiedModel,
} from '../../core/ports.ts';
import { scoreRules } from '../../core/score-rules.ts';
import { startDetectorThread, type DetectorThread } from './detector-thread.ts';
import type { ChosenProvider, DetectRequest } from './worker-messages.ts';

export interface WorkerThreadEngineOptions {
  readonly model: VerifiedModel;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly thresholds?: ThresholdOverrides;
  /** The model that describes what the first one finds. */
  readonly embedding?: VerifiedEmbedding | undefined;
  /** Default: one less than the cores, at least 1, at most 8. The core left over decodes video and runs the main thread; a session costs
   *  some 40 MB, so that a machine with many cores should be told how many of them are meant for this. */
  readonly workers?: number;
  /** Where the model runs. Default cpu. One that is not usable here is told once, and the processor takes its place. */
  readonly provider?: ExecutionProvider;
  /** Images that may wait. Default 64: one for each camera of a full machine, since a caller hands in one at a time per camera. */
  readonly queueCapacity?: number;
  /** A run that takes longer is reported as stalled. Default 30 s: the slowest model that is of use on a busy machine takes 2 s. */
  readonly runTimeoutMs?: number;
  /** Loading and first run of the model. Default 60 s. */
  readonly loadTimeoutMs?: number;
  /** Takes the buffers of images whose pixels were read. */
  readonly recycle?: (data: Uint8Array<ArrayBuffer>) => void;
}

interface Waiting extends DetectRequest {
  readonly deadlineMs: number | null;
  readonly handedInMs: number;
  readonly resolve: (outcome: EngineOutcome) => void;
  readonly reject: (error: AppError) => void;
}

interface Slot {
  thread: DetectorThread | undefined;
  state: 'idle' | 'busy' | 'stalled' | 'lost';
  busySinceMs: number;
  /** The caller that waits for this run; taken away when the run stalls, since the caller then has its answer. */
  current: Waiting | undefined;
  /** Of the image that it was given last. */
  format: FrameImage['format'];
}

/** Of one engine in its lifetime: a worker that dies again and again is a fault to be seen, not to be hidden by restarts. */
const maxRestarts = 10;

/** How many run at once where nobody says it. */
export function usualWorkers(): number {
  return Math.min(8, Math.max(1, availableParallelism() - 1));
}

export function createWorkerThreadEngine(options: WorkerThreadEngineOptions): InferenceEngine {
  const { model, clock, logger } = options;
  const { manifest } = model;
  const rules = scoreRules(manifest, options.thresholds);
  const embedding =
    options.embedding === undefined
      ? null
      : { ...options.embedding, rules: embeddingRules(manifest, options.embedding.manifest) };
  const workers = options.workers ?? usualWorkers();
  const runTimeoutMs = options.runTimeoutMs ?? 30_000;
  const loadTimeoutMs = options.loadTimeoutMs ?? 60_000;

  /** A JPEG is as long as it happens to be: of no use to others. */
  function giveBack(format: FrameImage['format'], data: Uint8Array<ArrayBuffer>): void {
    if (format !== 'jpeg') options.recycle?.(data);
  }

  const slots = Array.from({ length: workers }, (): Slot => ({
    thread: undefined,
    state: 'lost',
    busySinceMs: 0,
    current: undefined,
    format: 'yuv420p',
  }));
  const queue = new BoundedQueue<Waiting>({
    name: 'inference',
    capacity: options.queueCapacity ?? 64,
    whenFull: 'reject',
  });
  const waitingForRoom: (() => void)[] = [];
  const waitingForQuiet: (() => void)[] = [];
  const starts = new Set<Promise<void>>();
  let phase: 'created' | 'starting' | 'running' | 'draining' | 'stopping' | 'stopped' | 'failed' = 'created';
  let chosen: ChosenProvider = { provider: options.provider ?? 'cpu', refused: null };
  let restarts = 0;
  let watchdog: NodeJS.Timeout | undefined;
  let closing: Promise<void> | undefined;

  function state(): EngineState {
    if (phase === 'draining') return 'stopping';
    if (phase !== 'running') return phase;
    return slots.every((slot) => slot.state === 'stalled' || slot.state === 'lost') ? 'stalled' : 'running';
  }

  async function startThread(slot: Slot): Promise<void> {
    const thread = startDetectorThread(`sightline-inference-${slots.indexOf(slot) + 1}`, {
      onResult: (message) => {
        const { current } = slot;
        giveBack(slot.format, message.data);
        if (slot.state === 'stalled')
          logger.warn({ runMs: Math.round(clock.monotonicMs() - slot.busySinceMs) }, 'stalled inference run came back');
        slot.state = 'idle';
        slot.current = undefined;
        if (message.kind === 'detected') {
          const waitedMs = current === undefined ? 0 : slot.busySinceMs - current.handedInMs;
          current?.resolve({ kind: 'detected', waitedMs, ...message.result });
        } else {
          current?.reject(message.error);
        }
        handOut();
      },
      onLost: (error) => {
        slot.thread = undefined;
        slot.state = 'lost';
        slot.current?.reject(error);
        slot.current = undefined;
        logger.error({ code: error.code, reason: error.message }, 'inference worker lost');
        restart(slot);
      },
    });
    slot.thread = thread;
    const { provider } = chosen;
    const loaded = await thread.load(model, { rules, provider, embedding, timeoutMs: loadTimeoutMs });
    // A thread that is started again is not asked to try once more, and what was refused stays told.
    if (chosen.refused === null) chosen = loaded;
    slot.state = 'idle';
  }

  /** Ends with the first that fails. */
  async function startInTurn(): Promise<readonly PromiseSettledResult<void>[]> {
    for (const slot of slots) {
      if (closing !== undefined) break;
      const [result] = await Promise.allSettled([startThread(slot)]);
      if (result.status === 'rejected') return [result];
    }
    return [];
  }

  function restart(slot: Slot): void {
    if (phase !== 'running' && phase !== 'draining') return;
    if (restarts === maxRestarts) {
      if (slots.every((other) => other.state === 'lost')) fail();
      return;
    }
    restarts++;
    const started = startThread(slot)
      .then(handOut, (error: unknown) => {
        logger.error(
          { reason: error instanceof Error ? error.message : String(error) },
          'inference worker could not be started again',
        );
        if (slots.every((other) => other.state === 'lost')) fail();
      })
      .finally(() => starts.delete(started));
    starts.add(started);
  }

  function fail(): void {
    phase = 'failed';
    rejectQueue(new AppError('SIGHTLINE_INFERENCE_WORKER_LOST', 'no inference worker is left'));
  }

  function rejectQueue(error: AppError): void {
    for (let waiting = queue.take(); waiting !== undefined; waiting = queue.take()) {
      giveBack(waiting.image.format, waiting.image.data);
      waiting.reject(error);
    }
    wakeWaiters();
  }

  function isFree(): boolean {
    // One image a worker may wait, so that a worker has its next image at hand when it ends one.
    return queue.size < slots.length;
  }

  function wakeWaiters(): void {
    for (let room = slots.length - queue.size; room > 0 || phase !== 'running'; room--) {
      const wake = waitingForRoom.shift();
      if (wake === undefined) break;
      wake();
    }
    if (queue.size === 0 && slots.every((slot) => slot.state !== 'busy'))
      for (const wake of waitingForQuiet.splice(0)) wake();
  }

  /** Gives what waits to the workers that are idle, oldest first. */
  function handOut(): void {
    for (const slot of slots) {
      if (slot.state !== 'idle' || slot.thread === undefined) continue;
      const waiting = nextInTime();
      if (waiting === undefined) break;
      try {
        const { image, fitTo, wantsBrightness } = waiting;
        slot.thread.detect({ image, fitTo, wantsBrightness });
      } catch (error) {
        // The buffer cannot be transferred: it was handed on before, or is not one of its own.
        waiting.reject(
          new AppError('SIGHTLINE_FRAME_SIZE_INVALID', 'the pixels of the image are no longer there', { cause: error }),
        );
        handOut();
        return;
      }
      slot.state = 'busy';
      slot.busySinceMs = clock.monotonicMs();
      slot.current = waiting;
      slot.format = waiting.image.format;
    }
    wakeWaiters();
  }

  function nextInTime(): Waiting | undefined {
    for (let waiting = queue.take(); waiting !== undefined; waiting = queue.take()) {
      if (waiting.deadlineMs === null || clock.monotonicMs() <= waiting.deadlineMs) return waiting;
      giveBack(waiting.image.format, waiting.image.data);
      waiting.resolve({ kind: 'expired' });
    }
    return undefined;
  }

  function watch(): void {
    const now = clock.monotonicMs();
    for (const slot of slots) {
      if (slot.state !== 'busy' || now - slot.busySinceMs < runTimeoutMs) continue;
      // The thread is left alone: ending it now would abort the process. It is used again should the run come back.
      slot.state = 'stalled';
      slot.current?.reject(stalled());
      slot.current = undefined;
      logger.error({ runTimeoutMs }, 'inference run stalled');
    }
    // Nobody is left to take up what waits. New images are still queued, and run should a worker come back before the next look.
    if (state() === 'stalled') rejectQueue(stalled());
    wakeWaiters();
  }

  function stalled(): AppError {
    return new AppError('SIGHTLINE_INFERENCE_STALLED', `no result within ${runTimeoutMs} ms`, { retryable: true });
  }

  async function whenQuiet(): Promise<void> {
    await Promise.allSettled(starts);
    if (queue.size === 0 && slots.every((slot) => slot.state !== 'busy')) return;
    await new Promise<void>((resolve) => waitingForQuiet.push(resolve));
  }

  async function closeAll(): Promise<void> {
    phase = 'stopping';
    rejectQueue(new AppError('SIGHTLINE_INFERENCE_STOPPED', 'inference is stopping'));
    await whenQuiet();
    clearInterval(watchdog);
    const results = await Promise.allSettled(
      slots.map(async (slot) => slot.thread?.stop(slot.state === 'stalled' ? 0 : runTimeoutMs)),
    );
    phase = 'stopped';
    wakeWaiters();
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  const engine: InferenceEngine = {
    manifest,
    digest: model.digest,
    get runtime() {
      return `onnxruntime-${chosen.provider}`;
    },
    embeddingModel: embedding === null ? null : embeddingModelName(embedding.manifest, embedding.digest),
    workers,
    get state() {
      return state();
    },
    get queued() {
      return queue.size;
    },
    async start({ besideOthers } = { besideOthers: false }) {
      if (phase !== 'created')
        throw new AppError('SIGHTLINE_INTERNAL', `an engine is started once; this one is ${phase}`);
      phase = 'starting';
      const results = besideOthers ? await startInTurn() : await Promise.allSettled(slots.map(startThread));
      const failure = results.find((result) => result.status === 'rejected');
      if (failure !== undefined) {
        await engine.close().catch((error: unknown) => {
          logger.error({ reason: String(error) }, 'inference worker did not end');
        });
        throw failure.reason;
      }
      // close() was called in between; it is at work on the threads.
      if (closing !== undefined)
        throw new AppError('SIGHTLINE_INFERENCE_STOPPED', 'inference was stopped while it started');
      phase = 'running';
      // Seldom enough to cost nothing, often enough to notice within a tenth more than the limit.
      watchdog = setInterval(watch, Math.max(10, runTimeoutMs / 10)).unref();
      if (chosen.refused !== null)
        logger.warn(
          { wanted: options.provider, reason: chosen.refused },
          'execution provider not usable, the CPU runs it',
        );
      const { name, version } = manifest;
      logger.info({ model: name, version, workers, provider: chosen.provider }, 'inference ready');
    },
    detect(given, { deadlineMs, fitTo = null, wantsBrightness = false }) {
      // What is transferred takes all of its memory along, and a JPEG lies among others in what a broker sent.
      // Not by slice(): that of a Buffer copies nothing.
      const image = given.format === 'jpeg' ? { ...given, data: new Uint8Array(given.data) } : given;
      const refuse = (error: AppError): Promise<never> => {
        giveBack(image.format, image.data);
        return Promise.reject(error);
      };
      if (phase !== 'running') return refuse(new AppError('SIGHTLINE_INFERENCE_STOPPED', `inference is ${phase}`));
      // Transfer moves the whole memory behind a view, so an image that shares its memory would take that of others along.
      if (image.data.byteLength === 0 || image.data.byteLength !== image.data.buffer.byteLength) {
        return Promise.reject(
          new AppError('SIGHTLINE_FRAME_SIZE_INVALID', 'the pixels of the image do not lie in a buffer of their own'),
        );
      }
      if (queue.isFull) {
        return refuse(
          new AppError('SIGHTLINE_INFERENCE_OVERLOADED', `${queue.capacity} images are waiting already`, {
            retryable: true,
          }),
        );
      }
      return new Promise<EngineOutcome>((resolve, reject) => {
        const handedInMs = clock.monotonicMs();
        queue.offer({ image, fitTo, wantsBrightness, deadlineMs, handedInMs, resolve, reject });
        handOut();
      });
    },
    async whenFree(signal) {
      signal?.throwIfAborted();
      if (phase !== 'running' || (isFree() && waitingForRoom.length === 0)) return;
      await new Promise<void>((resolve, reject) => {
        const wake = (): void => {
          signal?.removeEventListener('abort', give);
          resolve();
        };
        const give = (): void => {
          waitingForRoom.splice(waitingForRoom.indexOf(wake), 1);
          reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
        };
        waitingForRoom.push(wake);
        signal?.addEventListener('abort', give, { once: true });
      });
    },
    async drain() {
      if (phase === 'running') phase = 'draining';
      wakeWaiters();
      await whenQuiet();
    },
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
  return engine;
}
