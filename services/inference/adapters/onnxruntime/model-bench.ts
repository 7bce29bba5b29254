import { AppError, fromErrorRecord } from '#shared/core/errors';
import { askChild } from '#shared/runtime/ask-child';
import type { BenchAnswer, BenchFigures, BenchRequest } from './model-bench-messages.ts';

/** A slow model in a large batch on a busy machine; what takes longer is not of use for video. */
const defaultTimeoutMs = 5 * 60_000;

/**
 * Runs a model in a process of its own, so that its memory is seen alone and a provider that crashes takes nothing along. Rejects with the
 * reason where this setting cannot be run here.
 */
export async function measureModel(request: BenchRequest, timeoutMs = defaultTimeoutMs): Promise<BenchFigures> {
  const refusal = (reason: string): AppError => new AppError('SIGHTLINE_INFERENCE_RUN_FAILED', reason);
  const answer = await askChild<BenchRequest, BenchAnswer>({
    script: new URL('./model-bench-child.ts', import.meta.url),
    request,
    timeoutMs,
    late: () => refusal(`not done within ${timeoutMs / 1000} s`),
    ended: (how) => refusal(`it ended the process (${how})`),
  });
  if (answer.kind === 'failed') throw fromErrorRecord(answer.error);
  return answer.figures;
}
