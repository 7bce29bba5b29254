/** A process of the load test: one or more inference workers as `sightline service inference` has them, each with a simulated accelerator. */
import { readRedisEnvironment } from '#shared/runtime/redis-environment';
import { openRedisByteCache } from '#shared/store/redis/redis-byte-cache';
import { createMetricStore } from '#shared/core/metric-store';
import { createRolloutController } from '#shared/core/rollout/rollout-controller';
import { createMemoryRolloutLog } from '#shared/core/rollout/rollout-log';
import { systemClock } from '#shared/runtime/system-clock';
import { createInferenceWorker } from '../../cli/service/inference-worker.ts';
import { createDetectionCache } from '../../services/inference/core/detection-cache.ts';
import { createInferenceService } from '../../services/inference/service.ts';
import { connect, stderrLogger, type LoadMeeting } from './load-connection.ts';
import { createSimulatedEngine, loadProducer } from './simulated-engine.ts';

const { meeting, count, serviceMs, wantsCache } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly meeting: LoadMeeting;
  readonly count: number;
  readonly serviceMs: number;
  readonly wantsCache: boolean;
};
const redis = wantsCache ? readRedisEnvironment(process.env) : undefined;
const common = { clock: systemClock, logger: stderrLogger };
const workers = await Promise.all(
  Array.from({ length: count }, async () => {
    const metrics = createMetricStore();
    const engine = createSimulatedEngine(serviceMs);
    const store =
      redis && (await openRedisByteCache({ settings: redis, prefix: `${meeting.prefix}:`, ...common, metrics }));
    return createInferenceWorker({
      connection: await connect(meeting),
      inference: createInferenceService({
        engine,
        cacheOf: ({ digest }) => store && createDetectionCache({ cache: store, digest, rules: '', ttlMs: 600_000 }),
        producer: loadProducer,
        ...common,
        metrics,
      }),
      rollouts: createRolloutController({
        log: createMemoryRolloutLog(),
        ...common,
        judges: false,
      }),
      maxInFlight: engine.workers + 2,
      group: `${meeting.prefix}.inference`,
      logger: stderrLogger,
      metrics,
    });
  }),
);
let isStopping = false;
process.once('SIGTERM', () => {
  isStopping = true;
  void Promise.all(workers.map((worker) => worker.drain().then(() => worker.close()))).finally(() => process.exit(0));
});
for (const worker of workers) {
  worker.finished.catch((error: unknown) => {
    if (isStopping) return;
    process.stderr.write(`a worker failed: ${String(error)}\n`);
    process.exit(1);
  });
}
await Promise.all(workers.map((worker) => worker.start()));
process.stdout.write('ready\n');
