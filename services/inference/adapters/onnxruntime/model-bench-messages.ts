import type { ErrorRecord } from '#shared/core/errors';
import type { ModelManifest } from '../../core/model.ts';
import type { ExecutionProvider } from '../../core/ports.ts';

export interface BenchSetting {
  /** Runs at once, each in a thread of its own. */
  readonly threads: number;
  /** Pictures in one run. */
  readonly batch: number;
  readonly provider: ExecutionProvider;
}

export interface BenchRequest extends BenchSetting {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly manifest: ModelManifest;
  /** Of each thread, after a few that are not counted. */
  readonly runs: number;
}

/** What the runs of one setting cost. Times are of a run, CPU time is of a frame. */
export interface BenchFigures {
  readonly cpuMsPerFrame: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly framesPerSecond: number;
  /** Of the process, at the end. */
  readonly rssBytes: number;
}

export type BenchAnswer =
  | { readonly kind: 'measured'; readonly figures: BenchFigures }
  | { readonly kind: 'failed'; readonly error: ErrorRecord };

/** From a thread of the process that measures: `ready` when it may be told to go. */
export type BenchThreadMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly runMs: readonly number[] }
  | { readonly kind: 'failed'; readonly error: ErrorRecord };
