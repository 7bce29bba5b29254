/** A process of the load test: one or more inference workers as `sightline service inference` has them, each with a simulated accelerator. */
import { createMetricStore } from '#shared/core/metric-store';
import { createRolloutController } from '#shared/core/rollout/rollout-controller';
import { createMemoryRolloutLog } from '#shared/core/rollout/rollout-log';
import { systemClock } from '#shared/runtime/system-clock';
import { createInferenceWorker } from '../../cli/service/inference-worker.ts';
import { createInferenceService } from '../../services/inference/service.ts';
import { connect, stderrLogger, type LoadMeeting } from './load-connection.ts';
import { createSimulatedEngine, loadProducer, simulatedDecoder } from './simulated-engine.ts';

const { meeting, count, serviceMs } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly meeting: LoadMeeting;
  readonly count: number;
  readonly serviceMs: number;
};
const workers = await Promise.all(
  Array.from({ length: count }, async () => {
    const metrics = createMetricStore();
    const engine = createSimulatedEngine(serviceMs);
    return createInferenceWorker({
      connection: await connect(meeting),
      inference: createInferenceService({
        engine,
        decoder: simulatedDecoder,
        producer: loadProducer,
        clock: systemClock,
        logger: stderrLogger,
        metrics,
      }),
      rollouts: createRolloutController({
        log: createMemoryRolloutLog(),
        clock: systemClock,
        logger: stderrLogger,
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
