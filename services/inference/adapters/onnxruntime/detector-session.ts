import { InferenceSession, Tensor, env } from 'onnxruntime-node';
import { AppError } from '#shared/core/errors';
import type { PixelImage, PlanarImage } from '#shared/core/frame';
import { inferenceSize } from '#shared/core/inference-geometry';
import { createDecoder } from '../../core/decoders/index.ts';
import type { OutputTensors } from '../../core/decoders/decoder.ts';
import { createCandidateList } from '../../core/detections.ts';
import { createInputWriter } from '../../core/input-writer.ts';
import type { ModelManifest, ScoreRules } from '../../core/model.ts';
import { suppressNonMaxima } from '../../core/non-max-suppression.ts';
import type { ImageDetections } from '../../core/ports.ts';

/** One session with everything that one thread needs to turn images into boxes. Blocks its thread while it runs. */
export interface DetectorSession {
  /** One image at a time: the input memory is the session's own. */
  detect(image: PixelImage): Promise<ImageDetections>;
  close(): Promise<void>;
}

// Errors reach us as exceptions; the runtime's own lines on stderr would only say them a second time.
env.logLevel = 'fatal';

const sessionOptions: InferenceSession.SessionOptions = {
  // One thread a session: parallelism comes from running several, which beats sharing one frame among cores for throughput.
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  logSeverityLevel: 4,
};

/**
 * Loads a verified model, checks its input and outputs against the manifest and runs it once on a grey picture: the first run allocates
 * and may fail, and the shapes of real outputs are the ones to trust.
 */
export async function openDetectorSession(
  bytes: Uint8Array<ArrayBuffer>,
  manifest: ModelManifest,
  rules: ScoreRules,
): Promise<DetectorSession> {
  const session = await create(bytes, manifest);
  try {
    checkInput(session, manifest);
    const { input } = manifest;
    const writer = createInputWriter(input);
    // Made once: the runtime reads the same memory at every run.
    const feeds = { [input.name]: new Tensor('float32', writer.tensor, [1, 3, input.heightPx, input.widthPx]) };
    const candidates = createCandidateList();

    writer.write(greyImage(manifest));
    const first = await dryRun(session, feeds, manifest);
    const decode = createDecoder(manifest, shapesOf(first), rules);
    decode(first, candidates);

    return {
      async detect(image) {
        const startMs = performance.now();
        writer.write(image);
        const writtenMs = performance.now();
        // Outputs are float32: the dry run was checked, and a graph's types do not change.
        const outputs = (await session.run(feeds)) as unknown as OutputTensors;
        const ranMs = performance.now();
        candidates.clear();
        decode(outputs, candidates);
        freeOutputs(outputs);
        const boxes = suppressNonMaxima(candidates, rules.nmsIou, rules.maxObjects);
        return {
          boxes,
          preprocessMs: writtenMs - startMs,
          inferenceMs: ranMs - writtenMs,
          postprocessMs: performance.now() - ranMs,
        };
      },
      close: () => session.release(),
    };
  } catch (error) {
    await session.release();
    throw error;
  }
}

/**
 * Gives the memory of a run's outputs back at once (YOLOX: 1.2 MB a frame). Left to the garbage collector it makes V8 mark the whole heap
 * every 50 frames, on threads of its own: 0.3 ms of CPU a frame and 70 MB of memory.
 */
function freeOutputs(outputs: OutputTensors): void {
  for (const { data } of Object.values(outputs)) {
    if (data.buffer instanceof ArrayBuffer) data.buffer.transfer(0);
  }
}

async function create(bytes: Uint8Array<ArrayBuffer>, manifest: ModelManifest): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(bytes, sessionOptions);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('SIGHTLINE_MODEL_CORRUPT', `model ${manifest.name} cannot be loaded: ${reason.slice(0, 300)}`, {
      cause: error,
    });
  }
}

function checkInput(session: InferenceSession, manifest: ModelManifest): void {
  const { input } = manifest;
  const [metadata, ...others] = session.inputMetadata;
  const expected = [1, 3, input.heightPx, input.widthPx];
  const mismatch = (found: string): AppError =>
    new AppError(
      'SIGHTLINE_MODEL_SHAPE_MISMATCH',
      `model ${manifest.name}: its manifest describes one input '${input.name}' float32 [${expected.join(',')}], the file has ${found}`,
    );
  if (metadata === undefined || others.length > 0)
    throw mismatch(`${session.inputNames.length} inputs: ${session.inputNames.join(', ')}`);
  if (!metadata.isTensor) throw mismatch(`'${metadata.name}', which is not a tensor`);
  // A dimension with a name in place of a number takes any size.
  const fits =
    metadata.shape.length === expected.length &&
    metadata.shape.every((size, index) => typeof size === 'string' || size === expected[index]);
  if (metadata.name !== input.name || metadata.type !== 'float32' || !fits) {
    throw mismatch(`'${metadata.name}' ${metadata.type} [${metadata.shape.join(',')}]`);
  }
}

async function dryRun(
  session: InferenceSession,
  feeds: Record<string, Tensor>,
  manifest: ModelManifest,
): Promise<OutputTensors> {
  let outputs: InferenceSession.OnnxValueMapType;
  try {
    outputs = await session.run(feeds);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError(
      'SIGHTLINE_MODEL_DRY_RUN_FAILED',
      `model ${manifest.name} failed on a grey picture: ${reason.slice(0, 300)}`,
      {
        cause: error,
      },
    );
  }
  for (const [name, output] of Object.entries(outputs)) {
    if (!(output instanceof Tensor) || !(output.data instanceof Float32Array)) {
      throw new AppError(
        'SIGHTLINE_MODEL_SHAPE_MISMATCH',
        `model ${manifest.name}: its output '${name}' is not a float32 tensor`,
      );
    }
    if (!output.data.every(Number.isFinite)) {
      throw new AppError(
        'SIGHTLINE_MODEL_DRY_RUN_FAILED',
        `model ${manifest.name}: its output '${name}' holds numbers that are not finite`,
      );
    }
  }
  return outputs as unknown as OutputTensors; // each was checked above
}

function shapesOf(outputs: OutputTensors): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(outputs).map(([name, output]) => [name, output.dims]));
}

function greyImage(manifest: ModelManifest): PlanarImage {
  const size = inferenceSize(16, 9, manifest.input);
  return { format: 'gbrp', ...size, data: new Uint8Array(size.widthPx * size.heightPx * 3).fill(114) };
}
