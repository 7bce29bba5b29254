import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { AppError, fromErrorRecord } from '#shared/core/errors';
import type { PlanarImage } from '#shared/core/frame';
import { askChild } from '#shared/runtime/ask-child';
import type { VerifiedModel } from '../../core/ports.ts';
import { scoreRules } from '../../core/score-rules.ts';
import type { ModelSizes, ProbedModel, TrialAnswer, TrialRequest, TriedModel } from './model-trial-messages.ts';

export interface TrialLimits {
  /** Default 60 s: the slowest model that is of use on a busy machine needs 5 s for loading and two runs. */
  readonly timeoutMs?: number;
  /** Of the process that tries the model. Default 2 GiB: detectors for video need 0.1 to 0.5. Watched on Linux only. */
  readonly maxMemoryBytes?: number;
}

/** What a file takes and gives, in a process of its own: a model that never ends, eats memory or crashes takes nothing along. */
export async function probeModel(
  bytes: Uint8Array<ArrayBuffer>,
  size: ModelSizes | undefined,
  limits: TrialLimits = {},
): Promise<ProbedModel> {
  const answer = await ask({ kind: 'probe', bytes, size }, limits);
  if (answer.kind !== 'probed') throw unexpected(answer);
  return answer.found;
}

/** Checks a model against its manifest and runs it, in a process of its own. */
export async function tryModel(
  { manifest, bytes }: Pick<VerifiedModel, 'manifest' | 'bytes'>,
  image: PlanarImage | null,
  limits: TrialLimits = {},
): Promise<TriedModel> {
  const answer = await ask({ kind: 'try', bytes, manifest, rules: scoreRules(manifest), image }, limits);
  if (answer.kind !== 'tried') throw unexpected(answer);
  return answer.found;
}

async function ask(request: TrialRequest, limits: TrialLimits): Promise<TrialAnswer> {
  const { timeoutMs = 60_000, maxMemoryBytes = 2 * 1024 ** 3 } = limits;
  const refusal = (reason: string): AppError =>
    new AppError('SIGHTLINE_MODEL_DRY_RUN_FAILED', `the model was tried, and ${reason}`);
  const answer = await askChild<TrialRequest, TrialAnswer>({
    script: new URL('./model-trial-child.ts', import.meta.url),
    request,
    timeoutMs,
    late: () => refusal(`was not ready within ${timeoutMs / 1000} s`),
    ended: (how) => refusal(`ended the process that ran it (${how})`),
    watch(child, stop) {
      const timer = setInterval(() => {
        void residentBytes(child).then((bytes) => {
          if (bytes > maxMemoryBytes)
            stop(refusal(`took more than ${Math.round(maxMemoryBytes / 1024 ** 2)} MiB of memory`));
        });
      }, 100);
      return () => clearInterval(timer);
    },
  });
  if (answer.kind === 'failed') throw fromErrorRecord(answer.error);
  return answer;
}

async function residentBytes(child: ChildProcess): Promise<number> {
  if (process.platform !== 'linux' || child.pid === undefined) return 0;
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

function unexpected(answer: TrialAnswer): AppError {
  return new AppError('SIGHTLINE_INTERNAL', `the trial of a model answered '${answer.kind}'`);
}
