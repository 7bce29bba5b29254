import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { kafkaClients } from '../../support/kafka-buses.ts';
import { quickSessionBroker, runChaos, type ChaosReport, type ChaosSystem } from '../../support/kafka-chaos.ts';
import { startKafka, type KafkaServer } from '../../support/kafka-server.ts';

const isSkipped = inject('kafkaBrokers').length === 0 || process.env['KAFKA_BROKERS'] !== undefined;
const pause = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

async function killWorkers(system: ChaosSystem, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    await pause(200 + Math.random() * 600);
    const victim = system.workers.find((worker) => !worker.ended);
    victim?.signal('SIGKILL');
    system.note(`killed ${String(victim?.pid)}`);
    const flowing = system.flowing();
    await system.startWorker();
    system.note(`results of all cameras ${(await flowing).toFixed(0)} ms after the kill`);
  }
}

function expectExactlyOnce(report: ChaosReport): void {
  const { lost, duplicates, reordered, timeline } = report;
  expect({ lost, duplicates, reordered }, timeline.join('\n')).toEqual({ lost: 0, duplicates: 0, reordered: 0 });
}

// Tests that end brokers or need short sessions have a server of their own.
describe.skipIf(isSkipped)('faults', () => {
  let server: KafkaServer;
  beforeAll(async () => {
    server = await startKafka({ config: quickSessionBroker });
  });
  afterAll(() => server.stop());

  describe.each(kafkaClients)('%s', (client) => {
    it('loses, repeats and reorders nothing when workers are killed', async () => {
      expectExactlyOnce(
        await runChaos({ client, brokers: server.brokers, faults: (system) => killWorkers(system, 3) }),
      );
    });

    it('lets a worker that slept past its session do no harm, and ends it', async () => {
      let exit: number | string | undefined;
      const report = await runChaos({
        client,
        brokers: server.brokers,
        faults: async (system) => {
          const [sleeper, other] = system.workers;
          sleeper?.signal('SIGSTOP');
          await other?.untilOwner(4);
          await system.flowing();
          await pause(Math.random() * 1_000);
          sleeper?.signal('SIGCONT');
          exit = await sleeper?.exited;
          await system.flowing();
        },
      });
      expectExactlyOnce(report);
      expect(exit, report.timeline.join('\n')).toBe(1);
    });

    it('hands its partitions over when it is told to stop', async () => {
      const exits: unknown[] = [];
      const report = await runChaos({
        client,
        brokers: server.brokers,
        faults: async (system) => {
          for (const worker of system.workers.slice(0, 2)) {
            await system.startWorker();
            worker.signal('SIGTERM');
            exits.push(await worker.exited);
            await system.flowing();
          }
        },
      });
      expectExactlyOnce(report);
      expect(exits, report.timeline.join('\n')).toEqual([0, 0]);
    });

    it('loses nothing that was acknowledged when the broker is killed and comes back', async () => {
      const report = await runChaos({
        client,
        brokers: server.brokers,
        fps: 20,
        settleMs: 60_000,
        faults: async (system) => {
          await server.nodes[0]?.kill();
          system.note('broker killed');
          await pause(1_000);
          await server.nodes[0]?.restart();
          system.note('broker is back');
          system.note(`results of all cameras after ${(await system.flowing()).toFixed(0)} ms`);
        },
      });
      expectExactlyOnce(report);
    }, 120_000);
  });

  it('repeats results without transactions, so that the check above can fail', async () => {
    const report = await runChaos({
      client: 'platformatic',
      delivery: 'at-least-once',
      brokers: server.brokers,
      workers: 1,
      tuning: { commitIntervalMs: 1 },
      faults: async (system) => {
        const victim = await system.startWorker({ diesAtPosition: 5 });
        await victim.exited;
        await system.flowing();
      },
    });
    expect(report.lost, report.timeline.join('\n')).toBe(0);
    expect(report.duplicates, report.timeline.join('\n')).toBeGreaterThan(0);
  });
});
