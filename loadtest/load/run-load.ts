import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Subscription } from '#shared/bus/message-bus';
import { initialise } from '../../cli/service/init.ts';
import type { ServiceConnection } from '../../cli/service/service-connection.ts';
import { startKafka, type KafkaServer } from '../../test/support/kafka-server.ts';
import { connect, settingsOf, stderrLogger, type LoadMeeting } from './load-connection.ts';
import type { LoadOptions } from './load-options.ts';
import { LoadProcess, usageOf } from './load-process.ts';
import { startLoadRegistry } from './load-registry.ts';
import type { LoadRun, LoadSample } from './load-report.ts';
import { ResultAccount } from './result-account.ts';

const sessionSeconds = 1.5;
/** After measuring, for what is still on its way. */
const settleLimitMs = 60_000;
const pause = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, delayMs)));

/**
 * One run from an empty broker to the account of its frames. Everything it started has ended when it resolves or rejects; it rejects with the
 * signal's reason.
 */
export async function runLoad(
  options: LoadOptions,
  progress: (text: string) => void,
  signal: AbortSignal,
): Promise<LoadRun> {
  const undo: (() => Promise<void>)[] = [];
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  const whole = async (): Promise<LoadRun> => {
    progress('starting Kafka');
    const server = await startKafka({ config: { 'group.min.session.timeout.ms': '500' } });
    undo.push(() => server.stop());
    const registry = await startLoadRegistry();
    undo.push(() => registry.close());
    const meeting: LoadMeeting = {
      brokers: server.brokers,
      registryUrl: registry.url,
      prefix: `load-${randomBytes(4).toString('hex')}`,
      partitions: options.partitions,
      sessionSeconds,
    };
    const connection = await connect(meeting);
    undo.push(() => connection.close());
    await initialise(connection, {
      settings: settingsOf(meeting),
      logger: stderrLogger,
      signal: AbortSignal.timeout(60_000),
    });
    return await measure(options, { server, connection, meeting, undo, progress, signal });
  };
  try {
    return await Promise.race([whole(), stopped]);
  } finally {
    for (const step of undo.reverse()) await step().catch((error: unknown) => progress(`clean-up: ${String(error)}`));
  }
}

interface Stage {
  readonly server: KafkaServer;
  readonly connection: ServiceConnection;
  readonly meeting: LoadMeeting;
  readonly undo: (() => Promise<void>)[];
  readonly progress: (text: string) => void;
  readonly signal: AbortSignal;
}

async function measure(options: LoadOptions, stage: Stage): Promise<LoadRun> {
  const { connection, meeting, undo, progress } = stage;
  const startedAt = new Date().toISOString();
  const zeroMs = { value: Infinity };
  const events: { atS: number; text: string }[] = [];
  const atS = (): number =>
    Number.isFinite(zeroMs.value) ? (performance.now() - zeroMs.value) / 1_000 : -options.warmUpS;
  const note = (text: string): void => {
    if (events.length < 500) events.push({ atS: atS(), text });
    progress(text);
  };
  const workers: LoadProcess[] = [];
  const startWorkers = async (count: number): Promise<void> => {
    stage.signal.throwIfAborted();
    const process = new LoadProcess(
      `worker ${String(workers.length + 1)}`,
      'load-workers.ts',
      { meeting, count, serviceMs: options.simulatedMs },
      note,
    );
    workers.push(process);
    undo.push(() => process.end(15_000));
    await process.line(0, 120_000);
  };
  const account = new ResultAccount();
  const current = newSecond();
  const subscription = await readResults(connection, meeting, account, current);
  subscription.failed.catch((error: unknown) => note(`the reader failed: ${String(error)}`));
  progress(`starting ${String(options.workers)} workers`);
  // A few at a time: each that joins has the group shared out anew.
  for (let left = options.workers; left > 0; left -= options.workersPerProcess)
    await startWorkers(Math.min(left, options.workersPerProcess));
  const cameras = new LoadProcess(
    'cameras',
    'load-cameras.ts',
    {
      meeting,
      cameras: options.cameras,
      fps: options.fps,
      frameBytes: options.frameBytes,
      deadlineMs: options.deadlineMs,
    },
    note,
  );
  undo.push(() => cameras.end(15_000));
  await cameras.line(0, 60_000);
  zeroMs.value = performance.now() + options.warmUpS * 1_000;
  progress(`${String(options.cameras)} cameras send; measuring for ${String(options.durationS)} s`);

  const samples: LoadSample[] = [];
  const sampler = createSampler(stage, () => [cameras, ...workers], current);
  const fault = pause((options.warmUpS + options.durationS / 2) * 1_000).then(() =>
    harm(options, stage, workers, startWorkers, note),
  );
  fault.catch(() => undefined); // awaited below
  sampler(atS());
  for (let second = 1; second <= options.warmUpS + options.durationS; second += 1) {
    stage.signal.throwIfAborted();
    await pause(zeroMs.value - options.warmUpS * 1_000 + second * 1_000 - performance.now());
    const sample = sampler(atS(), await lagOf(connection, meeting));
    samples.push(sample);
    if (second % 5 === 0)
      progress(`${sample.atS.toFixed(0)} s: ${String(sample.results)} results, lag ${String(sample.lag ?? '?')}`);
    if (cameras.ended) throw new Error('the cameras ended');
  }
  await fault;
  cameras.signal('SIGTERM');
  const lastSent = JSON.parse(await cameras.line(1, 60_000)) as Record<string, number>;
  progress('cameras have stopped; waiting for the rest');
  const deadlineMs = performance.now() + settleLimitMs + backlogMs(options, samples);
  while (!account.hasAll(lastSent) && performance.now() < deadlineMs) await pause(100);
  return { startedAt, options, machine: machineFacts(), samples, events, accounting: account.report(lastSent) };
}

/** What is left to do at the end of an overload takes as long as the accelerators need for it. */
function backlogMs({ simulatedMs, workers }: LoadOptions, samples: readonly LoadSample[]): number {
  return (2 * (samples.at(-1)?.lag ?? 0) * simulatedMs) / workers;
}

interface Second {
  results: number;
  agesMs: number[];
  dropped: Record<string, number>;
}

function newSecond(): Second {
  return { results: 0, agesMs: [], dropped: {} };
}

function readResults(
  { bus, topics }: ServiceConnection,
  meeting: LoadMeeting,
  account: ResultAccount,
  second: Second,
): Promise<Subscription> {
  const readTo = new Map<number, bigint>();
  return bus.consume(topics.detections, { group: `${meeting.prefix}.reader`, maxInFlight: 64 }, (message) => {
    // At least once: what stands at one offset counts once.
    const { value } = message;
    const { partition, offset } = message;
    if (offset <= (readTo.get(partition) ?? -1n)) return Promise.resolve();
    readTo.set(partition, offset);
    account.add(value);
    second.results += 1;
    second.agesMs.push(Date.now() - value.header.capture_time / 1_000);
    const { drops_by_reason: reasons, frames_dropped_deadline: expired, frames_failed: failed } = value.accounting;
    for (const [reason, count] of [
      ...Object.entries(reasons),
      ['deadline', expired] as const,
      ['failed', failed] as const,
    ])
      if (count > 0) second.dropped[reason] = (second.dropped[reason] ?? 0) + count;
    return Promise.resolve();
  });
}

function createSampler(
  { server }: Stage,
  processes: () => readonly LoadProcess[],
  second: Second,
): (atS: number, lag?: number) => LoadSample {
  const before = new Map<number, number>();
  let lastS = 0;
  return (atS, lag) => {
    const watched = [
      ...processes().map(({ name, pid }) => ({ name, pid })),
      { name: 'reader', pid: process.pid },
      ...server.nodes.map(({ pid }, index) => ({ name: `broker ${String(index + 1)}`, pid })),
    ];
    const [cpu, rssMb]: [Record<string, number>, Record<string, number>] = [{}, {}];
    for (const { name, pid } of watched) {
      const usage = usageOf(pid);
      if (usage === undefined) continue;
      const spentS = usage.cpuS - (before.get(pid) ?? usage.cpuS);
      before.set(pid, usage.cpuS);
      cpu[name] = spentS / Math.max(atS - lastS, 1e-3);
      rssMb[name] = usage.rssMb;
    }
    lastS = atS;
    const sample: LoadSample = { atS, ...second, cpu, rssMb, lag };
    Object.assign(second, newSecond());
    return sample;
  };
}

async function lagOf({ bus, topics }: ServiceConnection, { prefix }: LoadMeeting): Promise<number | undefined> {
  const ask = async (): Promise<number> => {
    const [ends, committed] = await Promise.all([
      bus.admin.offsets(topics.frames.name),
      bus.admin.committed(`${prefix}.inference`, topics.frames.name),
    ]);
    let lag = 0;
    for (const [partition, { first, end }] of ends) lag += Number(end - (committed.get(partition) ?? first));
    return lag;
  };
  // A broker that is away must not stop the clock.
  return Promise.race([ask().catch(() => undefined), pause(500).then(() => undefined)]);
}

async function harm(
  { fault, workersPerProcess }: LoadOptions,
  { server }: Stage,
  workers: readonly LoadProcess[],
  startWorkers: (count: number) => Promise<void>,
  note: (text: string) => void,
): Promise<void> {
  const [victim] = workers;
  switch (fault) {
    case 'none':
      return;
    case 'kill-worker':
    case 'stop-worker':
      victim?.signal(fault === 'kill-worker' ? 'SIGKILL' : 'SIGTERM');
      note(`${fault}: ${victim?.name ?? ''}`);
      await startWorkers(workersPerProcess);
      note('another one is ready');
      return;
    case 'freeze-worker':
      victim?.signal('SIGSTOP');
      note(`frozen: ${victim?.name ?? ''}`);
      await pause(3_000);
      victim?.signal('SIGCONT');
      note('thawed');
      await startWorkers(workersPerProcess);
      return;
    case 'broker-restart':
      await server.nodes[0]?.kill();
      note('broker killed');
      await pause(1_000);
      await server.nodes[0]?.restart();
      note('broker is back');
  }
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
