import { InferenceSession, Tensor } from 'onnxruntime-node';
import { AppError, toErrorRecord } from '#shared/core/errors';
import { isVector } from '../../core/model-guess-vectors.ts';
import type { TensorFacts } from '../../core/model-facts.ts';
import { guessInput } from '../../core/model-guess.ts';
import { openEmbeddingSession } from './embedding-session.ts';
import { sessionOptions } from './runtime-session.ts';
import type { ProbedModel, TrialAnswer, TrialRequest } from './model-trial-messages.ts';
import { openShapedSession } from './shaped-session.ts';

/** The process that tries one model for model-trial.ts and is killed afterwards, or before. */
process.once('disconnect', () => process.exit());
process.once('message', (request: TrialRequest) => {
  void answer(request).then((said) => process.send?.(said)); // answer() never rejects
});

async function answer(request: TrialRequest): Promise<TrialAnswer> {
  try {
    if (request.kind === 'probe') return { kind: 'probed', found: await probe(request) };
    const bytesBefore = process.memoryUsage.rss();
    const boxes = await boxesOf(request);
    const memoryBytes = Math.max(0, process.memoryUsage.rss() - bytesBefore);
    return { kind: 'tried', found: { boxes, memoryBytes } };
  } catch (error) {
    return { kind: 'failed', error: toErrorRecord(error) };
  }
}

/** Opening a session runs the model on grey; what is for objects is run on the whole picture then. */
async function boxesOf(request: Extract<TrialRequest, { kind: 'try' }>): Promise<Float32Array> {
  const { bytes, manifest, rules, image } = request;
  if (manifest.family === 'embedding') {
    const session = await openEmbeddingSession(bytes, manifest);
    if (image !== null) await session.embed(image);
    return new Float32Array();
  }
  const session = await openShapedSession(bytes, manifest, rules);
  return image === null ? new Float32Array() : (await session.detect(image)).boxes;
}

async function probe({ bytes, size }: Extract<TrialRequest, { kind: 'probe' }>): Promise<ProbedModel> {
  const session = await InferenceSession.create(bytes, sessionOptions).catch((error: unknown) => {
    throw new AppError('SIGHTLINE_MODEL_CORRUPT', `the model cannot be loaded: ${reasonOf(error)}`, { cause: error });
  });
  const inputs = session.inputMetadata.map(factsOf);
  const picture = guessInput(inputs, size);
  const dims =
    picture.layout === 'NCHW' ? [1, 3, picture.heightPx, picture.widthPx] : [1, picture.heightPx, picture.widthPx, 3];
  const length = picture.widthPx * picture.heightPx * 3;
  const feeds: Record<string, Tensor> = {};
  for (const { name } of inputs) {
    if (name !== picture.name) {
      feeds[name] = new Tensor('int64', BigInt64Array.of(BigInt(picture.widthPx), BigInt(picture.heightPx)), [1, 2]);
    } else if (picture.dtype === 'uint8') feeds[name] = new Tensor('uint8', new Uint8Array(length).fill(114), dims);
    else feeds[name] = new Tensor('float32', new Float32Array(length).fill(0.4), dims);
  }
  const outputs = await session.run(feeds).catch((error: unknown) => {
    throw new AppError(
      'SIGHTLINE_MODEL_DRY_RUN_FAILED',
      `the model failed on a grey picture of ${picture.widthPx}x${picture.heightPx} px: ${reasonOf(error)}`,
      picture.isDeclared ? {} : { cause: error, action: 'Say the size that it takes with --size WIDTHxHEIGHT.' },
    );
  });
  return {
    inputs,
    outputs: Object.entries(outputs).map(([name, value]): TensorFacts => {
      if (!(value instanceof Tensor))
        throw new AppError('SIGHTLINE_MODEL_SHAPE_MISMATCH', `the output '${name}' of the model is not a tensor`);
      const facts = { name, type: value.type, shape: [...value.dims] };
      const { data } = value;
      return data instanceof Float32Array && isVector(facts) ? { ...facts, ...sumsOf(data) } : facts;
    }),
  };
}

function sumsOf(values: Float32Array): Pick<TensorFacts, 'sums'> {
  const near = (sum: number): boolean => Math.abs(sum - 1) < 1e-3;
  if (values.every((value) => value >= 0) && near(values.reduce((sum, value) => sum + value, 0)))
    return { sums: 'to-one' };
  return near(Math.hypot(...values)) ? { sums: 'unit-length' } : {};
}

function factsOf(metadata: InferenceSession.ValueMetadata): TensorFacts {
  return metadata.isTensor
    ? { name: metadata.name, type: metadata.type, shape: metadata.shape }
    : { name: metadata.name, type: 'not a tensor', shape: [] };
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 300);
}
