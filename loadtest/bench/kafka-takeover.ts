/**
 * How long results stand still when a worker is killed, told to stop, or joined by another, by client: `node loadtest/bench/kafka-takeover.ts
 * [--kills N] [--sessionMs S]`. Starts a broker of its own that allows short sessions.
 */
import { parseArgs } from 'node:util';
import { kafkaClients } from '../../test/support/kafka-buses.ts';
import { runChaos } from '../../test/support/kafka-chaos.ts';
import { startKafka } from '../../test/support/kafka-server.ts';

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '5' }, sessionMs: { type: 'string', default: '1500' } },
});
const sessionTimeoutMs = Number(values.sessionMs);
const pause = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));
const figures = (list: readonly number[]): string => {
  const sorted = [...list].sort((a, b) => a - b);
  return `median ${(sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(0)} most ${(sorted.at(-1) ?? 0).toFixed(0)} ms`;
};

const server = await startKafka({ config: { 'group.min.session.timeout.ms': '500' } });
try {
  for (const client of kafkaClients) {
    const [killed, stopped, joined]: [number[], number[], number[]] = [[], [], []];
    const report = await runChaos({
      client,
      brokers: server.brokers,
      tuning: {
        sessionTimeoutMs,
        heartbeatIntervalMs: Math.min(1_000, sessionTimeoutMs / 5),
        rebalanceTimeoutMs: sessionTimeoutMs * 2,
      },
      faults: async (system) => {
        for (let time = 0; time < Number(values.kills); time += 1) {
          await pause(500 + Math.random() * 500);
          const alive = (): (typeof system.workers)[number] | undefined =>
            system.workers.find((worker) => !worker.ended);
          alive()?.signal('SIGKILL');
          killed.push(await system.flowing());
          const [ready, flowing] = [system.startWorker(), pause(300).then(() => system.flowing())];
          await ready;
          joined.push(await flowing);
          await system.startWorker();
          await pause(500);
          alive()?.signal('SIGTERM');
          stopped.push(await system.flowing());
        }
      },
    });
    process.stdout.write(
      `${client}, session ${String(sessionTimeoutMs)} ms: after kill -9 ${figures(killed)}; another joins ${figures(joined)}; one stops ${figures(stopped)}; ` +
        `${String(report.published)} records, lost ${String(report.lost)}, duplicates ${String(report.duplicates)}, reordered ${String(report.reordered)}\n`,
    );
  }
} finally {
  await server.stop();
}
