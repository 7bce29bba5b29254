import { InferenceSession, Tensor, env } from 'onnxruntime-node';
import { AppError } from '#shared/core/errors';
import type { PixelImage, PlanarImage } from '#shared/core/frame';
import { inferenceSize } from '#shared/core/inference-geometry';
import type { OutputTensors } from '../../core/decoders/decoder.ts';
import { createInputWriter } from '../../core/input-writer.ts';
import type { ModelManifest } from '../../core/model.ts';
import { rewriteOnnx } from '../../core/onnx-rewrite.ts';
import type { ExecutionProvider } from '../../core/ports.ts';

// Errors reach us as exceptions; the runtime's own lines on stderr would only say them a second time.
env.logLevel = 'fatal';

export const sessionOptions: InferenceSession.SessionOptions = {
  // One thread a session: parallelism comes from running several, which beats sharing one frame among cores for throughput.
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  logSeverityLevel: 4,
};

export interface ModelRun {
  readonly outputs: OutputTensors;
  readonly preprocessMs: number;
  readonly inferenceMs: number;
  /** Gives the memory of the outputs back; they cannot be read after it. */
  free(): void;
}

/** A model in memory, from a picture to its outputs. */
export interface RuntimeSession {
  /** Of the first run, on grey. */
  readonly firstOutputs: OutputTensors;
  /** One image at a time: the input memory is the session's own. */
  run(image: PixelImage): Promise<ModelRun>;
  close(): Promise<void>;
}

/**
 * Loads a verified model, checks its input against the manifest and runs it once on a grey picture: the first run allocates and may fail, and
 * the shapes of real outputs are the ones to trust.
 */
export async function openRuntimeSession(
  bytes: Uint8Array<ArrayBuffer>,
  manifest: ModelManifest,
  provider: ExecutionProvider,
): Promise<RuntimeSession> {
  const session = await createRuntimeSession(bytes, manifest, provider);
  try {
    checkInput(session, manifest);
    const writer = createInputWriter(manifest.input);
    const fed = feedsOf(session, manifest, writer.tensor);
    writer.write(greyImage(manifest));
    fed.arrange();
    const firstOutputs = await dryRun(session, fed.feeds, manifest);
    return {
      firstOutputs,
      async run(image) {
        const startMs = performance.now();
        writer.write(image);
        fed.arrange();
        const writtenMs = performance.now();
        const run = await session.run(fed.feeds);
        const outputs = readableOutputs(run, manifest);
        const inferenceMs = performance.now() - writtenMs;
        return { outputs, preprocessMs: writtenMs - startMs, inferenceMs, free: () => freeOutputs(run) };
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
export function freeOutputs(outputs: InferenceSession.OnnxValueMapType): void {
  for (const output of Object.values(outputs)) {
    if (output instanceof Tensor && ArrayBuffer.isView(output.data) && output.data.buffer instanceof ArrayBuffer)
      output.data.buffer.transfer(0);
  }
}

/**
 * The inputs, made once: the runtime reads the same memory at every run. `arrange` brings the planes that the writer wrote into the order
 * and type of a model that wants others. Models of the RT-DETR kind ask in a second input for the size that boxes shall be in: the input's.
 */
function feedsOf(
  session: InferenceSession,
  manifest: ModelManifest,
  planes: Float32Array<ArrayBuffer>,
): { readonly feeds: Record<string, Tensor>; arrange(): void } {
  const { name, widthPx, heightPx, layout, dtype } = manifest.input;
  const sizes = Object.fromEntries(
    session.inputNames
      .filter((each) => each !== name)
      .map((each) => [each, new Tensor('int64', BigInt64Array.of(BigInt(widthPx), BigInt(heightPx)), [1, 2])]),
  );
  const dims = layout === 'NCHW' ? [1, 3, heightPx, widthPx] : [1, heightPx, widthPx, 3];
  if (layout === 'NCHW' && dtype === 'float32') {
    return { feeds: { ...sizes, [name]: new Tensor('float32', planes, dims) }, arrange: () => undefined };
  }
  const arranged = dtype === 'uint8' ? new Uint8Array(planes.length) : new Float32Array(planes.length);
  const tensor =
    arranged instanceof Uint8Array ? new Tensor('uint8', arranged, dims) : new Tensor('float32', arranged, dims);
  const pixels = widthPx * heightPx;
  return {
    feeds: { ...sizes, [name]: tensor },
    arrange() {
      if (layout === 'NCHW') {
        arranged.set(planes);
        return;
      }
      for (let channel = 0; channel < 3; channel++)
        for (let pixel = 0; pixel < pixels; pixel++)
          arranged[pixel * 3 + channel] = planes[channel * pixels + pixel] ?? 0;
    },
  };
}

/** Outputs as the decoders read them. Class numbers come as integers from some; they are few, and turned into floats. */
function readableOutputs(outputs: InferenceSession.OnnxValueMapType, manifest: ModelManifest): OutputTensors {
  const readable: Record<string, OutputTensors[string]> = {};
  for (const [name, output] of Object.entries(outputs)) {
    const data = output instanceof Tensor ? output.data : undefined;
    if (output instanceof Tensor && data instanceof Float32Array) {
      readable[name] = { dims: output.dims, data };
    } else if (output instanceof Tensor && (data instanceof BigInt64Array || data instanceof Int32Array)) {
      readable[name] = { dims: output.dims, data: Float32Array.from(data as ArrayLike<number | bigint>, Number) };
    } else {
      throw new AppError(
        'SIGHTLINE_MODEL_SHAPE_MISMATCH',
        `model ${manifest.name}: its output '${name}' is a tensor neither of float32 nor of integers`,
      );
    }
  }
  return readable;
}

/** Loads a model as the pipeline does, rewritten where that makes it cheaper. Throws SIGHTLINE_MODEL_CORRUPT with the runtime's reason. */
export async function createRuntimeSession(
  bytes: Uint8Array<ArrayBuffer>,
  manifest: ModelManifest,
  provider: ExecutionProvider,
): Promise<InferenceSession> {
  try {
    // Measured on processors alone; elsewhere the runtime gets the file as it stands.
    const fed = provider === 'cpu' ? rewriteOnnx(bytes, { mayTranspose: manifest.family === 'yolox' }) : bytes;
    return await InferenceSession.create(fed, { ...sessionOptions, executionProviders: [provider] });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('SIGHTLINE_MODEL_CORRUPT', `model ${manifest.name} cannot be loaded: ${reason.slice(0, 300)}`, {
      cause: error,
    });
  }
}

function checkInput(session: InferenceSession, manifest: ModelManifest): void {
  const { input } = manifest;
  const { layout, dtype } = input;
  const metadata = session.inputMetadata.find((each) => each.name === input.name);
  const others = session.inputMetadata.filter((each) => each !== metadata);
  const expected = layout === 'NCHW' ? [1, 3, input.heightPx, input.widthPx] : [1, input.heightPx, input.widthPx, 3];
  const mismatch = (found: string): AppError =>
    new AppError(
      'SIGHTLINE_MODEL_SHAPE_MISMATCH',
      `model ${manifest.name}: its manifest describes one input '${input.name}' ${dtype} [${expected.join(',')}], the file has ${found}`,
    );
  const isSize = (each: InferenceSession.ValueMetadata): boolean =>
    manifest.family === 'rtdetr' && each.isTensor && each.type === 'int64' && each.shape.length === 2;
  if (session.inputMetadata.length > 1 && !others.every(isSize))
    throw mismatch(`${session.inputNames.length} inputs: ${session.inputNames.join(', ')}`);
  const shown = metadata ?? others[0];
  if (shown === undefined) throw mismatch('no input');
  if (!shown.isTensor) throw mismatch(`'${shown.name}', which is not a tensor`);
  // A dimension with a name in place of a number takes any size.
  const fits =
    shown.shape.length === expected.length &&
    shown.shape.every((size, index) => typeof size === 'string' || size < 0 || size === expected[index]);
  if (metadata === undefined || shown.type !== dtype || !fits) {
    throw mismatch(`'${shown.name}' ${shown.type} [${shown.shape.join(',')}]`);
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
  const readable = readableOutputs(outputs, manifest);
  for (const [name, output] of Object.entries(readable)) {
    if (!output.data.every(Number.isFinite)) {
      throw new AppError(
        'SIGHTLINE_MODEL_DRY_RUN_FAILED',
        `model ${manifest.name}: its output '${name}' holds numbers that are not finite`,
      );
    }
  }
  return readable;
}

/** Shapes of outputs by name, as decoders ask for them. */
export function shapesOf(outputs: OutputTensors): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(outputs).map(([name, output]) => [name, output.dims]));
}

/** What a dry run is shown. */
function greyImage(manifest: ModelManifest): PlanarImage {
  const size = inferenceSize(16, 9, manifest.input);
  return { format: 'gbrp', ...size, data: new Uint8Array(size.widthPx * size.heightPx * 3).fill(114) };
}
