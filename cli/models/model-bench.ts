import { toAppError } from '#shared/core/errors';
import { measureModel } from '../../services/inference/adapters/onnxruntime/model-bench.ts';
import type { BenchFigures, BenchSetting } from '../../services/inference/adapters/onnxruntime/model-bench-messages.ts';
import type { VerifiedModel } from '../../services/inference/core/ports.ts';

/** Medians over the rounds, and the range of what decides. */
export interface BenchRow extends BenchSetting {
  readonly cpu_ms_per_frame: number;
  readonly run_p50_ms: number;
  readonly run_p99_ms: number;
  readonly frames_per_s: number;
  readonly frames_per_s_range: readonly [number, number];
  readonly rss_mb: number;
}

export interface RefusedRow extends BenchSetting {
  readonly reason: string;
}

export interface BenchPlan {
  readonly threads: readonly number[];
  readonly batches: readonly number[];
  readonly providers: readonly BenchSetting['provider'][];
  readonly runs: number;
  readonly rounds: number;
}

/** Every setting once in each round, so that other work on the machine hits all alike. A setting that cannot be run is not tried again. */
export async function benchModel(
  { manifest, bytes }: VerifiedModel,
  { threads, batches, providers, runs, rounds }: BenchPlan,
): Promise<readonly (BenchRow | RefusedRow)[]> {
  const settings = providers.flatMap((provider) =>
    batches.flatMap((batch) => threads.map((each): BenchSetting => ({ threads: each, batch, provider }))),
  );
  const taken = settings.map((): BenchFigures[] => []);
  const refused = new Map<number, string>();
  for (let round = 0; round < rounds; round++) {
    for (const [index, setting] of settings.entries()) {
      if (refused.has(index)) continue;
      try {
        taken[index]?.push(await measureModel({ ...setting, manifest, bytes, runs }));
      } catch (error) {
        refused.set(index, toAppError(error).message);
      }
    }
  }
  return settings.map((setting, index) => {
    const reason = refused.get(index);
    return reason === undefined ? rowOf(setting, taken[index] ?? []) : { ...setting, reason };
  });
}

function rowOf(setting: BenchSetting, figures: readonly BenchFigures[]): BenchRow {
  const middle = (of: (each: BenchFigures) => number): number => {
    const sorted = figures.map(of).sort((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  };
  const speeds = figures.map(({ framesPerSecond }) => framesPerSecond);
  return {
    ...setting,
    cpu_ms_per_frame: middle(({ cpuMsPerFrame }) => cpuMsPerFrame),
    run_p50_ms: middle(({ p50Ms }) => p50Ms),
    run_p99_ms: middle(({ p99Ms }) => p99Ms),
    frames_per_s: middle(({ framesPerSecond }) => framesPerSecond),
    frames_per_s_range: [Math.min(...speeds), Math.max(...speeds)],
    rss_mb: middle(({ rssBytes }) => rssBytes) / 1024 ** 2,
  };
}
