/** `npm run soak:kafka -- --kills 100 --client platformatic`: ends workers by SIGKILL, one after the other, and counts what came out. */
import { parseArgs } from 'node:util';
import { kafkaClients } from '../../support/kafka-buses.ts';
import { quickSessionBroker, runChaos } from '../../support/kafka-chaos.ts';
import { startKafka } from '../../support/kafka-server.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    client: { type: 'string', default: 'platformatic' },
    nodes: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});
const usage = `usage: npm run soak:kafka -- --kills N --client ${kafkaClients.join('|')} --nodes N\n`;
if (values.help) {
  process.stdout.write(
    `${usage}Ends workers by SIGKILL, one after the other, and counts lost, repeated and reordered results.\n`,
  );
  process.exit(0);
}
const client = kafkaClients.find((name) => name === values.client);
const [kills, nodes] = [Number(values.kills), Number(values.nodes)];
if (client === undefined || !(kills > 0) || !(nodes > 0)) {
  process.stderr.write(usage);
  process.exit(2);
}

const server = await startKafka({ nodes, config: quickSessionBroker });
const recoveriesMs: number[] = [];
try {
  const report = await runChaos({
    client,
    brokers: server.brokers,
    replicationFactor: Math.min(nodes, 3),
    workers: 3,
    settleMs: 120_000,
    faults: async (system) => {
      for (let kill = 1; kill <= kills; kill += 1) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_000));
        const alive = system.workers.filter((worker) => !worker.ended);
        const victim = alive[Math.floor(Math.random() * alive.length)];
        victim?.signal('SIGKILL');
        system.note(`killed ${String(victim?.pid)}`);
        const flowing = system.flowing(90_000);
        await Promise.all([flowing, system.startWorker()]);
        recoveriesMs.push(await flowing);
        if (kill % 10 === 0) process.stderr.write(`${String(kill)} of ${String(kills)} killed\n`);
      }
    },
  });
  const { published, refused, lost, duplicates, reordered, longestGapMs, timeline } = report;
  recoveriesMs.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(recoveriesMs[Math.ceil(recoveriesMs.length * share) - 1] ?? 0);
  const recovery_ms = { p50: at(0.5), p95: at(0.95), max: at(1) };
  const facts = { client, nodes, kills, published, refused, lost, duplicates, reordered };
  process.stdout.write(`${JSON.stringify({ ...facts, recovery_ms, longest_gap_ms: Math.round(longestGapMs) })}\n`);
  if (lost + duplicates + reordered > 0) {
    process.stderr.write(`${timeline.join('\n')}\n`);
    process.exitCode = 1;
  }
} finally {
  await server.stop();
}
