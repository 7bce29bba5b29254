import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { initialise } from '../../cli/service/init.ts';
import type { ServiceConnection } from '../../cli/service/service-connection.ts';
import { startKafka, type KafkaServer } from '../../test/support/kafka-server.ts';
import { LoadCluster } from './load-cluster.ts';
import { connect, settingsOf, stderrLogger, type LoadMeeting } from './load-connection.ts';
import { harm } from './load-faults.ts';
import type { LoadOptions } from './load-options.ts';
import { startLoadRedis, type LoadRedis } from './load-redis.ts';
import { startLoadRegistry } from './load-registry.ts';
import type { LoadEvent, LoadRun, LoadSample } from './load-report.ts';
import { lagOf, LoadSampler } from './load-samples.ts';
import { accountOf, ResultAccount, verifyTopics } from './result-account.ts';

/** As docker-compose.yml has them. */
const brokerSettings = {
  'group.min.session.timeout.ms': '500',
  'broker.session.timeout.ms': '4000',
  'broker.heartbeat.interval.ms': '500',
};
/** After measuring, for what is still on its way. */
const settleLimitMs = 60_000;
const lagLimitMs = 500;
const undoLimitMs = 35_000;
const pause = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, delayMs)));

export interface LoadStage {
  /** An empty directory for files of its own. */
  readonly folder: string;
  readonly progress: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * One run from an empty broker to the account of its frames. Everything it started has ended when it resolves or rejects; it rejects with the
 * signal's reason.
 */
export async function runLoad(options: LoadOptions, { folder, progress, signal }: LoadStage): Promise<LoadRun> {
  const undo: (() => Promise<void>)[] = [];
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  const whole = async (): Promise<LoadRun> => {
    progress('starting Kafka');
    const server = await startKafka({ config: brokerSettings });
    undo.push(() => server.stop());
    const registry = await startLoadRegistry();
    undo.push(() => registry.close());
    const redis = options.redis ? await startLoadRedis() : undefined;
    if (redis !== undefined) undo.push(() => redis.stop());
    const meeting: LoadMeeting = {
      brokers: server.brokers,
      registryUrl: registry.url,
      prefix: `load-${randomBytes(4).toString('hex')}`,
      partitions: options.partitions,
      sessionSeconds: options.sessionS,
    };
    const connection = await connect(meeting);
    undo.push(() => connection.close());
    await initialise(connection, {
      settings: settingsOf(meeting),
      logger: stderrLogger,
      signal: AbortSignal.timeout(60_000),
    });
    return await measure(options, { server, redis, connection, meeting, folder, undo, progress, signal });
  };
  try {
    return await Promise.race([whole(), stopped]);
  } finally {
    for (const step of undo.reverse()) await undone(step, progress);
  }
}

/** Who waits for something that is gone would wait for ever; processes are killed before that. */
async function undone(step: () => Promise<void>, progress: (text: string) => void): Promise<void> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => {
    progress('clean-up: a step was not waited for');
    late.resolve(undefined);
  }, undoLimitMs);
  await Promise.race([step().catch((error: unknown) => progress(`clean-up: ${String(error)}`)), late.promise]);
  clearTimeout(timer);
}

interface Servers extends LoadStage {
  readonly server: KafkaServer;
  readonly redis: LoadRedis | undefined;
  readonly connection: ServiceConnection;
  readonly meeting: LoadMeeting;
  readonly undo: (() => Promise<void>)[];
}

async function measure(options: LoadOptions, servers: Servers): Promise<LoadRun> {
  const { connection, meeting, server, redis, folder, undo, progress, signal } = servers;
  const startedAt = new Date().toISOString();
  const events: LoadEvent[] = [];
  let zeroMs = Infinity;
  const atS = (): number => (Number.isFinite(zeroMs) ? (performance.now() - zeroMs) / 1_000 : -options.warmUpS);
  const note = (text: string, kind: LoadEvent['kind'] = 'words'): void => {
    if (events.length < 500 || kind === 'fault') events.push({ atS: atS(), text, kind });
    progress(text);
  };
  const cluster = new LoadCluster({
    ...{ options, meeting, folder, undo, signal },
    redis: redis?.environment ?? {},
    note: (text) => note(text),
  });
  const account = new ResultAccount();
  const sampler = new LoadSampler();
  const subscription = await sampler.read(connection, meeting, account);
  subscription.failed.catch((error: unknown) => note(`the reader failed: ${String(error)}`));
  progress(`starting ${String(options.workers)} workers`);
  // One process at a time: each that joins has the group shared out anew.
  for (let left = options.workers; left > 0; left -= options.workersPerProcess)
    await cluster.startWorkers(Math.min(left, options.workersPerProcess));
  await cluster.startCameras();
  zeroMs = performance.now() + options.warmUpS * 1_000;
  progress(`${String(options.cameras)} cameras send; measuring for ${String(options.durationS)} s`);

  const { workersPerProcess, faults, durationS, warmUpS } = options;
  const silences: { readonly fault: string; readonly silence: ReturnType<ResultAccount['watchSilence']> }[] = [];
  const harming = (async (): Promise<void> => {
    for (const [index, fault] of faults.entries()) {
      await pause(zeroMs + (durationS * 1_000 * (index + 1)) / (faults.length + 1) - performance.now());
      silences.push({ fault, silence: account.watchSilence(performance.now()) });
      await harm(fault, { server, redis, cluster, workersPerProcess, note: (text) => note(text, 'fault') });
    }
  })();
  harming.catch(() => undefined); // awaited below
  const watched = (): { name: string; pid: number }[] => [
    ...cluster.all.filter(({ ended }) => !ended),
    // With what it started and nothing else counts: Redis, and the cameras' RTSP server.
    { name: 'reader', pid: process.pid },
    ...server.nodes.map(({ pid }) => ({ name: 'broker', pid })),
  ];
  const samples: LoadSample[] = [];
  sampler.sample(atS(), watched());
  for (let second = 1; second <= warmUpS + durationS; second += 1) {
    signal.throwIfAborted();
    await pause(zeroMs - warmUpS * 1_000 + second * 1_000 - performance.now());
    const sample = sampler.sample(atS(), watched(), await lagOf(connection, meeting, lagLimitMs));
    samples.push(sample);
    if (second % 5 === 0)
      progress(`${sample.atS.toFixed(0)} s: ${String(sample.results)} results, lag ${String(sample.lag ?? '?')}`);
    if (!cluster.hasCameras) throw new Error('the cameras ended');
  }
  await harming;
  const answers = silences.map(({ fault, silence }) => ({ fault, ...silence() }));
  const lastSent = await cluster.stopCameras();
  progress('cameras have stopped; waiting for the rest');
  const deadlineMs = performance.now() + settleLimitMs + backlogMs(options, samples);
  while ((await lagOf(connection, meeting, lagLimitMs)) !== 0 && performance.now() < deadlineMs) await pause(200);
  progress('verifying the topics');
  const accounting = accountOf(await verifyTopics(meeting), account.counts, lastSent);
  return { startedAt, options, machine: machineFacts(), samples, events, silences: answers, accounting };
}

/** What is left to do at the end of an overload takes as long as the accelerators need for it. */
function backlogMs({ simulatedMs, workers }: LoadOptions, samples: readonly LoadSample[]): number {
  return (2 * (samples.at(-1)?.lag ?? 0) * simulatedMs) / workers;
}

function machineFacts(): Record<string, string | number> {
  const [first] = cpus();
  return {
    cores: cpus().length,
    processor: first?.model ?? 'unknown',
    memoryMb: Math.round(totalmem() / 1024 / 1024),
    kernel: release(),
    node: process.version,
    loadAverageAtEnd: Number((loadavg()[0] ?? 0).toFixed(1)),
    commit: commitOf(),
  };
}

function commitOf(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}
