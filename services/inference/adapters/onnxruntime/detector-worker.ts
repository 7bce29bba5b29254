import { parentPort } from 'node:worker_threads';
import { AppError, toErrorRecord } from '#shared/core/errors';
import type { PixelImage } from '#shared/core/frame';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import { createJpegDecoder } from '#shared/images/jpeg-decoder';
import { boxesAlone } from '../../core/detections.ts';
import { meanBrightness } from '../../core/drift/brightness.ts';
import { scaleImage } from '../../core/fit-image.ts';
import type { ExecutionProvider, ImageDetections } from '../../core/ports.ts';
import type { EmbeddingRules } from '../../core/embedding.ts';
import type { ModelInput } from '../../core/model.ts';
import type { DetectorSession } from './detector-session.ts';
import { openEmbeddingSession, type Descriptions, type EmbeddingSession } from './embedding-session.ts';
import { openShapedSession } from './shaped-session.ts';
import type { ChosenProvider, DetectRequest, FromWorker, ToWorker } from './worker-messages.ts';

/** The thread that owns one session: a model's run blocks it, and nothing else waits on it. */
if (parentPort === null) throw new Error('this file is started as a worker thread');
const port = parentPort;
let session: DetectorSession | undefined;
let describer: Describer | undefined;
/** For the pixels of one decoded picture after another. */
const pool = createFrameBufferPool({ maxBytes: 1 << 24 });
const jpegDecoder = createJpegDecoder(pool);
/** One message after another: a stop that arrives during a run is taken up when the run has ended. */
let work: Promise<void> = Promise.resolve();

port.on('message', (message: ToWorker) => {
  work = work.then(() => handle(message));
});

type Load = Extract<ToWorker, { kind: 'load' }>;

function say(message: FromWorker, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

async function handle(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'load':
      try {
        const opened = await openOnProvider(message);
        ({ session, describer } = opened);
        say({ kind: 'loaded', ...opened.chosen });
      } catch (error) {
        say({ kind: 'load-failed', error: toErrorRecord(error) });
      }
      return;
    case 'detect':
      await detect(message);
      return;
    case 'stop':
      await session?.close();
      await describer?.session.close();
      port.close();
  }
}

interface Describer {
  readonly session: EmbeddingSession;
  readonly input: ModelInput;
  readonly rules: EmbeddingRules;
}

interface Opened {
  readonly session: DetectorSession;
  readonly describer: Describer | undefined;
}

/** A provider that is not usable here, or not for these models, leaves the processor, which runs everything. */
async function openOnProvider(load: Load): Promise<Opened & { readonly chosen: ChosenProvider }> {
  const { provider } = load;
  let refused: string | null = null;
  if (provider !== 'cpu') {
    try {
      return { ...(await open(load, provider)), chosen: { provider, refused } };
    } catch (error) {
      refused = (error instanceof Error ? error.message : String(error)).slice(0, 300);
    }
  }
  return { ...(await open(load, 'cpu')), chosen: { provider: 'cpu', refused } };
}

/** Both models on one provider: a choice of its own for the second would be another thing to tell of. */
async function open({ bytes, manifest, rules, embedding }: Load, provider: ExecutionProvider): Promise<Opened> {
  const opened = await openShapedSession(bytes, manifest, rules, provider);
  if (embedding === null) return { session: opened, describer: undefined };
  try {
    const described = await openEmbeddingSession(embedding.bytes, embedding.manifest, provider);
    return { session: opened, describer: { session: described, input: manifest.input, rules: embedding.rules } };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function detect(request: DetectRequest): Promise<void> {
  const { data } = request.image;
  try {
    if (session === undefined) throw new AppError('SIGHTLINE_INFERENCE_STOPPED', 'the worker has no model');
    say({ kind: 'detected', result: await detectionsOf(session, request), data }, [data.buffer]);
  } catch (error) {
    const known =
      error instanceof AppError
        ? error
        : new AppError('SIGHTLINE_INFERENCE_RUN_FAILED', error instanceof Error ? error.message : String(error), {
            cause: error,
          });
    say({ kind: 'detect-failed', error: toErrorRecord(known), data }, [data.buffer]);
  }
}

async function detectionsOf(
  detector: DetectorSession,
  { image, fitTo, wantsBrightness }: DetectRequest,
): Promise<ImageDetections> {
  const startMs = performance.now();
  const pixels = image.format === 'jpeg' ? await jpegDecoder.decode(image) : image;
  const brightness = wantsBrightness ? meanBrightness(pixels) : null;
  const fitting = fitTo === null ? pixels : scaleImage(pixels, fitTo);
  const readyMs = performance.now() - startMs;
  const found = await detector.detect(fitting);
  const foundMs = performance.now();
  const described = await descriptionsOf(fitting, found.boxes);
  const inferenceMs = found.inferenceMs + (performance.now() - foundMs);
  if (pixels !== image) pool.give(pixels.data);
  return { ...found, ...described, inferenceMs, preprocessMs: readyMs + found.preprocessMs, brightness };
}

async function descriptionsOf(image: PixelImage, boxes: Float32Array): Promise<Descriptions> {
  if (describer === undefined) return { embeddings: boxesAlone.embeddings, notDescribed: boxesAlone.notDescribed };
  const { input, rules } = describer;
  return describer.session.describe(image, boxes, input, rules);
}
