import { AppError } from '#shared/core/errors';
import type { StepShown } from '../camera/verdict-text.ts';
import { answerOf, eventStreamType, type Api, type Schemas } from './api-client.ts';
import { readEvents } from './event-reader.ts';

export type ProbeAnswer = Schemas['ProbeAnswer'] & { readonly verdict: Schemas['ProbeVerdict'] };

/** Has the API try a camera, from its machine; each step is told as it ends. */
export async function probeByApi(
  api: Api,
  body: Schemas['ProbeRequest'],
  onStep: (step: StepShown) => void,
): Promise<ProbeAnswer> {
  const stream: unknown = await answerOf(
    api,
    api.client.POST('/api/v1/cameras:probe', { body, headers: { accept: eventStreamType }, parseAs: 'stream' }),
  );
  // Of `parseAs`.
  for await (const { event, data } of readEvents(stream as ReadableStream<Uint8Array>)) {
    // What the document says of these events.
    const told = JSON.parse(data) as StepShown & ProbeAnswer & { code: string; detail: string; action: string };
    if (event === 'step') onStep(told);
    else if (event === 'verdict') return told;
    else if (event === 'failure')
      throw new AppError('SIGHTLINE_API_ANSWER', `${told.code}: ${told.detail}`, { action: told.action });
  }
  throw new AppError('SIGHTLINE_API_UNREACHABLE', `${api.url} ended before it gave a verdict`);
}
