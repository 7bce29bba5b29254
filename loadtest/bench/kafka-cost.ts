/**
 * What a record costs in CPU of our process, by client: `node loadtest/bench/kafka-cost.ts [--records N] [--rate R] [--partitions P]
 * [--publishSpacingMs S] [--transactionLingerMs L]`.
 * Starts a broker of its own, then a fresh process for each client and repetition, interleaved. Prints one JSON line for each and the medians.
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { outgoing, type Topic } from '../../services/shared/bus/message-bus.ts';
import type { RecordSerde } from '../../services/shared/bus/kafka/serde.ts';
import { createTestTopics, kafkaClients, openTestBus, type KafkaClientName } from '../../test/support/kafka-buses.ts';
import { startKafka } from '../../test/support/kafka-server.ts';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '2000' },
    rate: { type: 'string', default: '200' },
    partitions: { type: 'string', default: '6' },
    cameras: { type: 'string', default: '24' },
    repeat: { type: 'string', default: '3' },
    idleSeconds: { type: 'string', default: '5' },
    publishSpacingMs: { type: 'string', default: '25' },
    transactionLingerMs: { type: 'string', default: '10' },
    child: { type: 'string' },
    brokers: { type: 'string', default: '' },
  },
});
const [records, rate, partitions, cameras] = [values.records, values.rate, values.partitions, values.cameras].map(
  Number,
) as [number, number, number, number];
const recordBytes = 25_000;
const resultBytes = 600;

interface Cost {
  readonly client: string;
  /** Share of one core, connected with a producer and a group member, nothing to do. */
  readonly idlePercent: number;
  readonly publishMs: number;
  /** Consume and commit with a result in a transaction, from a backlog. */
  readonly processBacklogMs: number;
  readonly backlogPerSecond: number;
  /** Publish, consume and commit at the given rate, all in one process, without the idle share. */
  readonly liveMs: number;
  readonly liveLatencyP50Ms: number;
  readonly liveLatencyP99Ms: number;
  readonly rssMb: number;
}

async function measure(client: KafkaClientName, brokers: readonly string[]): Promise<Cost> {
  const bytes: RecordSerde<unknown> = {
    encode: (value) => ({ value: value as Buffer }),
    decode: (record) => record.value,
  };
  const bus = openTestBus(client, brokers, {
    serde: bytes,
    tuning: {
      publishSpacingMs: Number(values.publishSpacingMs),
      transactionLingerMs: Number(values.transactionLingerMs),
    },
  });
  const name = `cost-${client}-${String(process.pid)}`;
  const [input, output]: [Topic<Buffer>, Topic<Buffer>] = [{ name: `${name}-in` }, { name: `${name}-out` }];
  await createTestTopics(bus, [input.name, output.name], partitions);
  const frame = Buffer.alloc(recordBytes, 7);
  const keyOf = (index: number): string => `camera-${String(index % cameras)}`;
  const cpuMs = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  };
  const publishAtRate = async (count: number, made: (index: number) => Buffer): Promise<void> => {
    const startMs = performance.now();
    const sent: Promise<void>[] = [];
    for (let index = 0; index < count; index += 1) {
      const waitMs = startMs + (index * 1_000) / rate - performance.now();
      if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
      sent.push(bus.publish(input, { key: keyOf(index), value: made(index) }));
    }
    await Promise.all(sent);
  };
  await publishAtRate(100, () => frame);

  let markMs = cpuMs();
  await publishAtRate(records, () => frame);
  const publishCpuMs = cpuMs() - markMs;

  const latencies: number[] = [];
  let seen = 0;
  markMs = cpuMs();
  let wallMs = performance.now();
  await bus.process(input, { group: name, maxInFlight: 64 }, (message) => {
    seen += 1;
    return Promise.resolve([outgoing(output, message.key, Buffer.from(message.value.subarray(0, resultBytes)))]);
  });
  await bus.idle();
  const backlogMs = performance.now() - wallMs;
  const backlogCpuMs = cpuMs() - markMs;
  if (seen < records) throw new Error(`${String(seen)} of ${String(records)} records`);

  markMs = cpuMs();
  wallMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, Number(values.idleSeconds) * 1_000));
  const idleShare = (cpuMs() - markMs) / (performance.now() - wallMs);

  const reader = openTestBus('platformatic', brokers, { serde: bytes });
  await reader.consume(output, { group: `${name}-reader`, maxInFlight: 64 }, (message) => {
    const sentMs = message.value.readDoubleLE(0);
    if (sentMs > 1e9) latencies.push(performance.timeOrigin + performance.now() - sentMs);
    return Promise.resolve();
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  latencies.length = 0;
  await publishAtRate(records / 2, () => {
    frame.writeDoubleLE(performance.timeOrigin + performance.now(), 0);
    return Buffer.from(frame);
  });
  await bus.idle();
  await new Promise((resolve) => setTimeout(resolve, 300));
  await reader.close();
  latencies.sort((a, b) => a - b);

  markMs = cpuMs();
  wallMs = performance.now();
  await publishAtRate(records, () => frame);
  await bus.idle();
  const liveCpuMs = cpuMs() - markMs - idleShare * (performance.now() - wallMs);
  await bus.close();
  return {
    client,
    idlePercent: idleShare * 100,
    publishMs: publishCpuMs / records,
    processBacklogMs: backlogCpuMs / (records + 100),
    backlogPerSecond: (records + 100) / (backlogMs / 1_000),
    liveMs: liveCpuMs / records,
    liveLatencyP50Ms: latencies[Math.floor(latencies.length * 0.5)] ?? 0,
    liveLatencyP99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    rssMb: process.memoryUsage().rss / 1e6,
  };
}

function runChild(client: KafkaClientName, brokers: readonly string[]): Promise<Cost> {
  const passed = Object.entries(values).flatMap(([name, value]) =>
    name === 'child' || name === 'brokers' ? [] : [`--${name}`, value],
  );
  const script = import.meta.filename;
  const args = [
    '--disable-warning=TimeoutNegativeWarning',
    script,
    ...passed,
    '--child',
    client,
    '--brokers',
    brokers.join(),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let words = '';
  child.stdout.on('data', (data: Buffer) => (words += data.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(words) as Cost);
      else reject(new Error(`${client} ended with ${String(code)}`));
    });
  });
}

if (values.child !== undefined) {
  const client = kafkaClients.find((candidate) => candidate === values.child);
  if (client === undefined) throw new Error(`no client ${values.child}`);
  process.stdout.write(JSON.stringify(await measure(client, values.brokers.split(','))));
} else {
  const server = await startKafka();
  try {
    const costs: Cost[] = [];
    for (let time = 0; time < Number(values.repeat); time += 1) {
      for (const client of kafkaClients) {
        const cost = await runChild(client, server.brokers);
        costs.push(cost);
        process.stdout.write(`${JSON.stringify(cost)}\n`);
      }
    }
    for (const client of kafkaClients) {
      const of = costs.filter((cost) => cost.client === client);
      const median = (read: (cost: Cost) => number): string =>
        (of.map(read).sort((a, b) => a - b)[Math.floor(of.length / 2)] ?? 0).toFixed(2);
      process.stdout.write(
        `${client}: idle ${median((cost) => cost.idlePercent)} % of a core, publish ${median((cost) => cost.publishMs)} ms, ` +
          `process from a backlog ${median((cost) => cost.processBacklogMs)} ms (${median((cost) => cost.backlogPerSecond)}/s), ` +
          `publish and process live ${median((cost) => cost.liveMs)} ms a record, publish to result p50 ${median((cost) => cost.liveLatencyP50Ms)} ` +
          `p99 ${median((cost) => cost.liveLatencyP99Ms)} ms, rss ${median((cost) => cost.rssMb)} MB\n`,
      );
    }
  } finally {
    await server.stop();
  }
}
