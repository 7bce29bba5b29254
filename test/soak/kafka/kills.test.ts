import { describe, expect, it, onTestFinished } from 'vitest';
import { kafkaClients } from '../../support/kafka-buses.ts';
import { quickSessionBroker, runChaos } from '../../support/kafka-chaos.ts';
import { startKafka } from '../../support/kafka-server.ts';

/** SIGHTLINE_SOAK=1 SIGHTLINE_SOAK_KILLS=100 vitest run --project soak test/soak/kafka */
const kills = Number(process.env['SIGHTLINE_SOAK_KILLS'] ?? '100');
const pause = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

describe.each(kafkaClients)('%s', (client) => {
  it.each([1, 3])(
    `loses, repeats and reorders nothing over ${String(kills)} faults on %i brokers`,
    async (nodes) => {
      const server = await startKafka({ nodes, config: quickSessionBroker });
      onTestFinished(() => server.stop());
      const report = await runChaos({
        client,
        brokers: server.brokers,
        replicationFactor: nodes,
        workers: 3,
        settleMs: 120_000,
        faults: async (system) => {
          for (let fault = 0; fault < kills; fault += 1) {
            await pause(Math.random() * 1_000);
            const alive = system.workers.filter((worker) => !worker.ended);
            const victim = alive[Math.floor(Math.random() * alive.length)];
            const kind = Math.random();
            if (kind < 0.6) {
              victim?.signal('SIGKILL');
            } else if (kind < 0.8) {
              victim?.signal('SIGTERM');
            } else if (kind < 0.9) {
              victim?.signal('SIGSTOP');
              await pause(2_500);
              victim?.signal('SIGCONT');
            } else {
              const node = server.nodes[Math.floor(Math.random() * nodes)];
              await node?.kill();
              await pause(1_000);
              await node?.restart();
            }
            system.note(`fault ${String(fault)}: ${kind.toFixed(2)}`);
            while (system.workers.filter((worker) => !worker.ended).length < 3) await system.startWorker();
            await system.flowing(90_000);
          }
        },
      });
      const { lost, duplicates, reordered, timeline } = report;
      expect({ lost, duplicates, reordered }, timeline.join('\n')).toEqual({ lost: 0, duplicates: 0, reordered: 0 });
    },
    kills * 30_000,
  );
});
