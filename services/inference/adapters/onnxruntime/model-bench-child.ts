import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Tensor, type InferenceSession } from 'onnxruntime-node';
import { AppError, fromErrorRecord, toErrorRecord } from '#shared/core/errors';
import { createRuntimeSession, freeOutputs } from './runtime-session.ts';
import type { BenchAnswer, BenchFigures, BenchRequest, BenchThreadMessage } from './model-bench-messages.ts';

/** The process that measures one setting for model-bench.ts, and each of its threads. */
const runsBefore = 5;

if (isMainThread) {
  process.once('disconnect', () => process.exit());
  process.once('message', (request: BenchRequest) => {
    void answer(request).then((said) => process.send?.(said)); // answer() never rejects
  });
} else {
  await runThread(workerData as BenchRequest); // what measure() gives it
}

async function answer(request: BenchRequest): Promise<BenchAnswer> {
  try {
    return { kind: 'measured', figures: await measure(request) };
  } catch (error) {
    return { kind: 'failed', error: toErrorRecord(error) };
  }
}

async function measure(request: BenchRequest): Promise<BenchFigures> {
  const { threads, batch } = request;
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL(import.meta.url), { workerData: request, execArgv: [] }),
  );
  const messages = workers.map(listenTo);
  for (const next of messages) await next('ready');
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  for (const worker of workers) worker.postMessage('go');
  const runMs: number[] = [];
  for (const next of messages) {
    const message = await next('done');
    if (message.kind === 'done') runMs.push(...message.runMs);
  }
  const elapsedMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  const frames = runMs.length * batch;
  runMs.sort((a, b) => a - b);
  const quantile = (share: number): number => runMs[Math.min(runMs.length - 1, Math.floor(runMs.length * share))] ?? 0;
  return {
    cpuMsPerFrame: (user + system) / 1000 / frames,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    framesPerSecond: (frames * 1000) / elapsedMs,
    rssBytes: process.memoryUsage.rss(),
  };
}

/** Waits for messages of one kind. The thread's own failure, or its end before, rejects. */
function listenTo(worker: Worker): (kind: BenchThreadMessage['kind']) => Promise<BenchThreadMessage> {
  const seen: BenchThreadMessage[] = [];
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  const woken = (): void => wake?.();
  worker.on('message', (message: BenchThreadMessage) => {
    if (message.kind === 'failed') failure ??= fromErrorRecord(message.error);
    seen.push(message);
    woken();
  });
  worker.on('error', (error) => {
    failure ??= error instanceof Error ? error : new Error(String(error));
    woken();
  });
  worker.on('exit', () => {
    failure ??= new AppError('SIGHTLINE_INFERENCE_WORKER_LOST', 'a thread of the bench ended early');
    woken();
  });
  return async (kind) => {
    for (;;) {
      const found = seen.find((message) => message.kind === kind);
      if (found !== undefined) return found;
      if (failure !== undefined) throw failure;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}

async function runThread(request: BenchRequest): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('this part is started as a worker thread');
  const say = (message: BenchThreadMessage): void => port.postMessage(message);
  try {
    const session = await openSession(request);
    const feeds = feedsFor(session, request);
    for (let run = 0; run < runsBefore; run++) await session.run(feeds);
    const told = new Promise<void>((resolve) => port.once('message', () => resolve()));
    say({ kind: 'ready' });
    await told;
    const runMs: number[] = [];
    for (let run = 0; run < request.runs; run++) {
      const startMs = performance.now();
      const outputs = await session.run(feeds);
      runMs.push(performance.now() - startMs);
      freeOutputs(outputs);
    }
    say({ kind: 'done', runMs });
  } catch (error) {
    say({ kind: 'failed', error: toErrorRecord(error) });
  }
}

async function openSession({ bytes, manifest, provider, batch }: BenchRequest): Promise<InferenceSession> {
  const session = await createRuntimeSession(bytes, manifest, provider);
  const input = session.inputMetadata.find(({ name }) => name === manifest.input.name);
  const declared = input?.isTensor === true ? input.shape[0] : undefined;
  if (typeof declared === 'number' && declared >= 1 && declared !== batch)
    throw new AppError('SIGHTLINE_MODEL_SHAPE_MISMATCH', `the file takes ${declared} picture a run, not ${batch}`);
  return session;
}

function feedsFor(session: InferenceSession, { manifest, batch }: BenchRequest): Record<string, Tensor> {
  const { name: picture, widthPx, heightPx, layout, dtype } = manifest.input;
  const dims = layout === 'NCHW' ? [batch, 3, heightPx, widthPx] : [batch, heightPx, widthPx, 3];
  const length = batch * 3 * heightPx * widthPx;
  const feeds: Record<string, Tensor> = {};
  for (const name of session.inputNames) {
    if (name !== picture) {
      const sizes = BigInt64Array.from({ length: 2 * batch }, (_, index) =>
        BigInt(index % 2 === 0 ? widthPx : heightPx),
      );
      feeds[name] = new Tensor('int64', sizes, [batch, 2]);
    } else if (dtype === 'uint8') feeds[name] = new Tensor('uint8', new Uint8Array(length).fill(114), dims);
    else feeds[name] = new Tensor('float32', new Float32Array(length).fill(0.4), dims);
  }
  return feeds;
}
