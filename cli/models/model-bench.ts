import { AppError } from '#shared/core/errors';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import { inferenceSize } from '#shared/core/inference-geometry';
import { systemClock } from '#shared/runtime/system-clock';
import { createWorkerThreadEngine } from '../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
import type { VerifiedModel } from '../../services/inference/core/ports.ts';
import { silentLogger } from './silent-logger.ts';

export interface BenchRow {
  readonly workers: number;
  readonly runs: number;
  /** CPU time of the whole process per run: what a frame costs, hand-over included. */
  readonly cpu_ms_per_run: number;
  readonly inference_p50_ms: number;
  readonly inference_p99_ms: number;
  readonly runs_per_s: number;
}

/** Keeps that many workers busy with 16:9 pictures and says what a run costs. */
export async function benchModel(model: VerifiedModel, workers: number, runsEach: number): Promise<BenchRow> {
  const pool = createFrameBufferPool({ maxBytes: 256 * 1024 * 1024 });
  const engine = createWorkerThreadEngine({
    model,
    clock: systemClock,
    logger: silentLogger,
    workers,
    recycle: (data) => {
      pool.give(data);
    },
  });
  await engine.start();
  try {
    const size = inferenceSize(1920, 1080, model.manifest.input);
    const durations: number[] = [];
    const keepBusy = async (runs: number, isMeasured: boolean): Promise<void> => {
      for (let run = 0; run < runs; run++) {
        const data = pool.take(size.widthPx * size.heightPx * 3);
        const outcome = await engine.detect({ format: 'gbrp', ...size, data }, { deadlineMs: null });
        if (outcome.kind === 'expired') throw new AppError('SIGHTLINE_INTERNAL', 'a run without a deadline expired');
        if (isMeasured) durations.push(outcome.inferenceMs);
      }
    };
    const all = (runs: number, isMeasured: boolean): Promise<unknown> =>
      Promise.all(Array.from({ length: workers }, () => keepBusy(runs, isMeasured)));
    await all(Math.min(10, runsEach), false);
    const cpuBefore = process.cpuUsage();
    const startMs = performance.now();
    await all(runsEach, true);
    const elapsedMs = performance.now() - startMs;
    const cpu = process.cpuUsage(cpuBefore);
    durations.sort((a, b) => a - b);
    const quantile = (share: number): number =>
      durations[Math.min(durations.length - 1, Math.floor(durations.length * share))] ?? 0;
    return {
      workers,
      runs: durations.length,
      cpu_ms_per_run: (cpu.user + cpu.system) / 1000 / durations.length,
      inference_p50_ms: quantile(0.5),
      inference_p99_ms: quantile(0.99),
      runs_per_s: (durations.length * 1000) / elapsedMs,
    };
  } finally {
    await engine.close();
  }
}
