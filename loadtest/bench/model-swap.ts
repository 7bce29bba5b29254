/**
 * What a change of the model costs the frames that come meanwhile, and what fifty of them leave in memory:
 * `node loadtest/bench/model-swap.ts --from MANIFEST --to MANIFEST [--swaps 50] [--fps 20]`. Frames come at a fixed pace from four cameras, as from a
 * live site; nothing is kept warm, so that every change loads a version anew and lets the other one go. At the end the same with the version
 * before kept warm, as it is by default: how long a rollback takes.
 */
import { readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import type { SampledFrame } from '#shared/core/frame';
import { inferenceSize } from '#shared/core/inference-geometry';
import { createMetricStore } from '#shared/core/metric-store';
import {
  applyStep,
  initialRollout,
  planStep,
  type ModelRef,
  type RolloutCommand,
} from '#shared/core/rollout/rollout-state';
import { yuv420Bytes } from '#shared/core/yuv420';
import { systemClock } from '#shared/runtime/system-clock';
import { silentLogger } from '../../cli/models/silent-logger.ts';
import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { createWorkerThreadEngine } from '../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
import { createInferenceService } from '../../services/inference/service.ts';

// As the `sightline` command does: else most of a change is compiling the code of a thread.
enableCompileCache('node_modules/.cache/sightline');
const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    to: { type: 'string' },
    'models-dir': { type: 'string', default: 'models' },
    swaps: { type: 'string', default: '50' },
    fps: { type: 'string', default: '20' },
  },
});
const library = createModelLibrary({ directories: [values['models-dir'], 'models'] });
const models = [await library.load(values.from ?? 'yolox-nano'), await library.load(values.to ?? 'sightline-nano')];
const [first] = models;
if (first === undefined) throw new Error('no model');
const refs = models.map(({ manifest: { name, version }, digest }): ModelRef => ({ name, version, digest }));
const engineOf = (ref: ModelRef) => {
  const model = models.find(({ digest }) => digest === ref.digest) ?? first;
  return createWorkerThreadEngine({ model, clock: systemClock, logger: silentLogger, workers: 1 });
};
const size = inferenceSize(1920, 1080, first.manifest.input);
const records: { readonly decision: string; readonly ms: number; readonly isSwapping: boolean }[] = [];
const serviceOf = (keepWarmMs: number) =>
  createInferenceService({
    engine: engineOf(refs[0] ?? { name: '', version: '', digest: '' }),
    openEngine: (ref) => Promise.resolve(engineOf(ref)),
    keepWarmMs,
    producer: { service: 'bench', instance_id: 'bench', version: '0' },
    ...{ clock: systemClock, logger: silentLogger, metrics: createMetricStore() },
  });
let service = serviceOf(0);
await service.start();

let sent = 0;
let isSwapping = false;
const pending = new Set<Promise<void>>();
function send(): void {
  sent += 1;
  const startMs = performance.now();
  const wasSwapping = isSwapping;
  const done = service.analyse(frame(sent)).then((record) => {
    records.push({ decision: record.decision, ms: performance.now() - startMs, isSwapping: wasSwapping });
    pending.delete(done);
  });
  pending.add(done);
}

function frame(count: number): SampledFrame {
  const nowUs = systemClock.nowUs();
  const times = { captureTimeUs: nowUs, captureTimeErrorMs: 1, ingestTimeUs: nowUs, ptsUs: null };
  return {
    ...{ cameraId: `camera-${count % 4}`, epoch: 1, frameSeq: count, fate: 'analyse', deadlineMs: null, tags: {} },
    times: { ...times, captureTimeSource: 'ARRIVAL' },
    ...{ sourceWidthPx: 1920, sourceHeightPx: 1080, motion: null },
    image: { format: 'yuv420p', ...size, data: new Uint8Array(yuv420Bytes(size)).fill(count % 256) },
    accounting: {
      ...{ frames_received: 1, frames_analysed: 1, frames_filtered: 0, frames_dropped_ingest: 0 },
      ...{ frames_dropped_deadline: 0, frames_failed: 0, drops_by_reason: {}, decode_errors: 0 },
      ...{ target_fps: 5, effective_fps: 5, load_state: 'NORMAL' },
    },
  };
}

const quantile = (of: readonly number[], share: number): string => {
  const sorted = [...of].sort((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
};
const rssMb = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;
const pace = setInterval(send, 1000 / Number(values.fps));
await systemClock.sleep(10_000);
let state = initialRollout;
async function change(command: Pick<RolloutCommand, 'action' | 'model'>): Promise<number> {
  const step = planStep(state, { ...command, by: 'bench' }, { timeUs: 0 });
  const startMs = performance.now();
  const next = applyStep(state, step);
  if (next.active !== null) await service.stage.prepare(next.active);
  state = next;
  service.stage.follow(state);
  return performance.now() - startMs;
}
const changes: number[] = [];
const memory: number[] = [];
for (let swap = 0; swap < Number(values.swaps); swap++) {
  const model = refs[(swap + 1) % 2];
  isSwapping = true;
  changes.push(await change({ action: 'activate', ...(model && { model }) }));
  await systemClock.sleep(500);
  isSwapping = false;
  await systemClock.sleep(500);
  memory.push(rssMb());
}
clearInterval(pace);
await Promise.all(pending);
await service.close();
service = serviceOf(60_000);
await service.start();
state = initialRollout;
const rollbacks: number[] = [];
for (const model of refs) await change({ action: 'activate', model });
for (let round = 0; round < 10; round++) {
  const startMs = performance.now();
  await change({ action: 'rollback' });
  // Until a frame has come out of the version that works again.
  await service.analyse(frame(sent + round + 1));
  rollbacks.push(performance.now() - startMs);
  await change({ action: 'activate', ...(refs[1] && { model: refs[1] }) });
}
await service.close();

const times = (during: boolean): number[] => records.filter((each) => each.isSwapping === during).map(({ ms }) => ms);
const failed = records.filter(({ decision }) => decision !== 'ANALYSED').length;
const line = (text: string): void => void process.stdout.write(`${text}\n`);
line(`frames handed in ${sent}, records ${records.length}, not analysed ${failed}`);
line(`a change takes p50 ${quantile(changes, 0.5)} ms, p99 ${quantile(changes, 0.99)} ms`);
line(
  `a rollback until its first frame, version before kept warm: p50 ${quantile(rollbacks, 0.5)} ms, worst ${quantile(rollbacks, 1)} ms`,
);
for (const during of [false, true])
  line(
    `frames ${during ? 'within half a second of a change and while one loads' : 'at other times'}: ${[0.5, 0.95, 0.99].map((share) => quantile(times(during), share)).join(' / ')} ms (p50 / p95 / p99 of ${times(during).length})`,
  );
line(
  `resident memory after 5, 10, 25 and the last change: ${[4, 9, 24, memory.length - 1].map((at) => Math.round(memory[at] ?? 0)).join(', ')} MB`,
);
