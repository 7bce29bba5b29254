import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Logger } from '#shared/core/logger';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import { inferenceSize } from '#shared/core/inference-geometry';
import { systemClock } from '#shared/runtime/system-clock';
import { createModelLibrary, type LoadedModel } from '../../services/inference/adapters/model-files/model-library.ts';
import { openDetectorSession } from '../../services/inference/adapters/onnxruntime/detector-session.ts';
import { createWorkerThreadEngine } from '../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
import { scoreRules } from '../../services/inference/core/score-rules.ts';
import type { FromChild, ToChild } from './forked-runner-child.ts';

/**
 * What a frame costs in a worker thread and in a forked process, and how each comes back from a crash of native code.
 *
 *     node loadtest/bench/runner-comparison.ts MODEL_DIRECTORY [MODEL] [ROUNDS] [FRAMES]
 *
 * CPU time of all processes, variants in turn, so that a machine that slows down slows all of them; median and range over the rounds.
 */
const [modelsDirectory = '', modelName = 'yolox-nano', roundsText = '7', framesText = '60'] = process.argv.slice(2);
const rounds = Number(roundsText);
const frames = Number(framesText);
const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

interface Variant {
  readonly name: string;
  readonly detect: () => Promise<unknown>;
  /** CPU time so far, all processes of the variant. */
  readonly cpuUs: () => Promise<number>;
  readonly close: () => Promise<unknown>;
}

const library = createModelLibrary({ directories: [`${import.meta.dirname}/../../models`, modelsDirectory] });
const model = await library.load(modelName);
const size = inferenceSize(768, 432, model.manifest.input);
const picture = Uint8Array.from({ length: size.widthPx * size.heightPx * 3 }, (_, index) => (index * 31) % 251);

function ownCpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function direct(): Promise<Variant> {
  const session = await openDetectorSession(model.bytes, model.manifest, scoreRules(model.manifest));
  return {
    name: 'same thread',
    detect: () => session.detect({ format: 'gbrp', ...size, data: picture }),
    cpuUs: () => Promise.resolve(ownCpuUs()),
    close: () => session.close(),
  };
}

async function thread(): Promise<Variant> {
  const pool = createFrameBufferPool({ maxBytes: 64 * 1024 * 1024 });
  const recycle = (data: Uint8Array<ArrayBuffer>): void => {
    pool.give(data);
  };
  const engine = createWorkerThreadEngine({ model, clock: systemClock, logger: silent, workers: 1, recycle });
  await engine.start();
  return {
    name: 'worker thread',
    // The buffer holds whatever came back: ingest writes into it anyway, so filling it is not part of the cost.
    detect: () => engine.detect({ format: 'gbrp', ...size, data: pool.take(picture.length) }, { deadlineMs: null }),
    cpuUs: () => Promise.resolve(ownCpuUs()),
    close: () => engine.close(),
  };
}

async function answer<Kind extends FromChild['kind']>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<FromChild, { kind: Kind }>> {
  const [message] = (await once(child, 'message')) as [FromChild];
  if (message.kind !== kind) throw new Error(`the child answered ${message.kind}, not ${kind}`);
  return message as Extract<FromChild, { kind: Kind }>; // the kind was compared
}

async function startChild(from: LoadedModel): Promise<ChildProcess> {
  const child = fork(new URL('./forked-runner-child.ts', import.meta.url), { serialization: 'advanced' });
  const load: ToChild = { kind: 'load', bytes: from.bytes, manifest: from.manifest };
  child.send(load);
  await answer(child, 'loaded');
  return child;
}

async function detectIn(child: ChildProcess): Promise<void> {
  const message: ToChild = { kind: 'detect', ...size, data: picture };
  const answered = answer(child, 'detected');
  child.send(message);
  await answered;
}

async function forked(): Promise<Variant> {
  const child = await startChild(model);
  return {
    name: 'forked process',
    detect: () => detectIn(child),
    async cpuUs() {
      const message: ToChild = { kind: 'cpu' };
      const answered = answer(child, 'cpu');
      child.send(message);
      return ownCpuUs() + (await answered).cpuUs;
    },
    async close() {
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function compareCosts(): Promise<void> {
  const variants = [await direct(), await thread(), await forked()];
  const cpuMs = new Map(variants.map(({ name }) => [name, [] as number[]]));
  const wallMs = new Map(variants.map(({ name }) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    for (const variant of variants) {
      const before = await variant.cpuUs();
      const startMs = performance.now();
      for (let frame = 0; frame < frames; frame++) await variant.detect();
      const elapsedMs = performance.now() - startMs;
      const spentUs = (await variant.cpuUs()) - before;
      if (round < 0) continue; // warms up
      cpuMs.get(variant.name)?.push(spentUs / 1000 / frames);
      wallMs.get(variant.name)?.push(elapsedMs / frames);
    }
  }
  for (const variant of variants) await variant.close();
  const base = cpuMs.get('same thread') ?? [];
  process.stdout.write(
    `${model.manifest.name}, ${size.widthPx}x${size.heightPx}, ${rounds} rounds of ${frames} frames\n`,
  );
  process.stdout.write(
    '| runner | CPU ms per frame | wall ms per frame | CPU above the same thread, ms (range) |\n|---|---|---|---|\n',
  );
  for (const { name } of variants) {
    const own = cpuMs.get(name) ?? [];
    const above = own.map((value, round) => value - (base[round] ?? Number.NaN));
    const range = `${Math.min(...above).toFixed(2)} to ${Math.max(...above).toFixed(2)}`;
    process.stdout.write(
      `| ${name} | ${median(own).toFixed(2)} | ${median(wallMs.get(name) ?? []).toFixed(2)} | ${median(above).toFixed(2)} (${range}) |\n`,
    );
  }
}

/** From SIGSEGV to the next result. */
async function recoverFork(): Promise<number> {
  const child = await startChild(model);
  await detectIn(child);
  const startMs = performance.now();
  const ended = once(child, 'exit');
  child.kill('SIGSEGV');
  await ended;
  const next = await startChild(model);
  await detectIn(next);
  const recoveredMs = performance.now() - startMs;
  next.disconnect();
  return recoveredMs;
}

/** The same for threads: the whole process dies, so what counts is a new process up to its first result. */
async function recoverProcess(): Promise<number> {
  const startMs = performance.now();
  const child = spawn(process.execPath, [import.meta.filename, modelsDirectory, modelName, 'first-result'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const recoveredMs = performance.now() - startMs;
  await once(child, 'exit');
  return recoveredMs;
}

if (roundsText === 'first-result') {
  const variant = await thread();
  await variant.detect();
  process.stdout.write('first result\n');
  await variant.close();
} else {
  await compareCosts();
  const [forks, processes]: [number[], number[]] = [[], []];
  for (let round = 0; round < 5; round++) {
    forks.push(await recoverFork());
    processes.push(await recoverProcess());
  }
  process.stdout.write(`after SIGSEGV: forked process ${median(forks).toFixed(0)} ms to the next result; `);
  process.stdout.write(
    `threads: the process is gone, a new one has its first result after ${median(processes).toFixed(0)} ms\n`,
  );
}
