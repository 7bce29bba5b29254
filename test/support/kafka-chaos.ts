import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { resolve } from 'node:path';
import type { Topic } from '../../services/shared/bus/message-bus.ts';
import type { KafkaTuning } from '../../services/shared/bus/kafka/kafka-settings.ts';
import { createTestTopics, openTestBus, type KafkaClientName } from './kafka-buses.ts';
import type { NumberedMessage, NumberWorkerSettings } from './kafka-number-worker.ts';

export interface ChaosOptions {
  readonly client: KafkaClientName;
  readonly brokers: readonly string[];
  readonly delivery?: 'exactly-once' | 'at-least-once';
  readonly cameras?: number;
  readonly partitions?: number;
  readonly replicationFactor?: number;
  readonly workers?: number;
  /** Frames per second of each camera. */
  readonly fps?: number;
  readonly thinkMs?: number;
  readonly tuning?: Partial<KafkaTuning>;
  /** How long the last results may take after the faults have ended. */
  readonly settleMs?: number;
  /** What is done to the system while it runs; numbers flow until it resolves. */
  readonly faults: (system: ChaosSystem) => Promise<void>;
}

export interface ChaosSystem {
  readonly workers: readonly Worker[];
  startWorker(changes?: Partial<NumberWorkerSettings>): Promise<Worker>;
  /** Resolves when results are flowing of every camera, all of them newer than now; with the time that took. */
  flowing(limitMs?: number): Promise<number>;
  note(text: string): void;
}

interface SeenResult extends NumberedMessage {
  /** Partition and key. */
  readonly at: string;
  readonly offset: bigint;
}

export interface ChaosReport {
  readonly published: number;
  readonly refused: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly reordered: number;
  /** Longest time without any result of one camera. */
  readonly longestGapMs: number;
  /** What happened when; printed where a test fails. */
  readonly timeline: readonly string[];
}

/** Sessions as short as the test brokers allow, so that a dead worker is missed soon. */
export const quickSession: Partial<KafkaTuning> = {
  sessionTimeoutMs: 1_500,
  heartbeatIntervalMs: 300,
  rebalanceTimeoutMs: 4_000,
};
export const quickSessionBroker = { 'group.min.session.timeout.ms': '500' };

export class Worker {
  readonly pid: number;
  readonly exited: Promise<number | string>;
  readonly #child: ChildProcess;
  readonly #events: string[] = [];
  #waiters: (() => void)[] = [];
  /** Partitions that it was given last. */
  #assigned: readonly number[] = [];
  ended = false;

  constructor(settings: NumberWorkerSettings, note: (text: string) => void) {
    const script = resolve(import.meta.dirname, 'kafka-number-worker.ts');
    const child = spawn(
      process.execPath,
      ['--disable-warning=TimeoutNegativeWarning', script, JSON.stringify(settings)],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    this.#child = child;
    this.pid = child.pid ?? 0;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { event, ...facts } = JSON.parse(line) as { event: string } & Record<string, string>;
      if (event !== 'info' || facts['text'] === 'partitions started' || process.env['CHAOS_VERBOSE'] !== undefined)
        note(`worker ${String(this.pid)} ${event} ${JSON.stringify(facts)}`);
      this.#events.push(event);
      if (facts['text'] === 'partitions assigned')
        this.#assigned = (JSON.parse(facts['fields'] ?? '{}') as { partitions?: number[] }).partitions ?? [];
      for (const wake of this.#waiters.splice(0)) wake();
    });
    createInterface({ input: child.stderr }).on('line', (line) => note(`worker ${String(this.pid)}: ${line}`));
    this.exited = new Promise((done) => {
      child.once('exit', (code, signal) => {
        this.ended = true;
        note(`worker ${String(this.pid)} ended: ${String(code ?? signal)}`);
        for (const wake of this.#waiters.splice(0)) wake();
        done(code ?? signal ?? '');
      });
    });
  }

  until(event: string, limitMs = 30_000): Promise<void> {
    return this.#untilTrue(event, () => this.#events.includes(event), limitMs);
  }

  /** Resolves when it has been given so many partitions. */
  untilOwner(partitions: number, limitMs = 30_000): Promise<void> {
    return this.#untilTrue(
      `owner of ${String(partitions)} partitions`,
      () => this.#assigned.length === partitions,
      limitMs,
    );
  }

  async #untilTrue(what: string, isTrue: () => boolean, limitMs: number): Promise<void> {
    const deadlineMs = performance.now() + limitMs;
    while (!isTrue()) {
      if (this.ended || performance.now() > deadlineMs) throw new Error(`worker ${String(this.pid)} was never ${what}`);
      await new Promise<void>((wake) => {
        this.#waiters.push(wake);
        setTimeout(wake, 500);
      });
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

let run = 0;

/** Runs numbers of several cameras through workers, does them harm, and counts what came out for a read_committed reader. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { cameras = 4, partitions = 4, workers: workerCount = 2, fps = 40, thinkMs = 4 } = options;
  const startMs = performance.now();
  const timeline: string[] = [];
  const note = (text: string): void => {
    timeline.push(`${(performance.now() - startMs).toFixed(0).padStart(6)} ms  ${text}`);
  };
  run += 1;
  const name = `chaos-${String(process.pid)}-${String(Date.now() % 1e6)}-${String(run)}`;
  const [input, output]: [Topic<NumberedMessage>, Topic<NumberedMessage>] = [
    { name: `${name}-in` },
    { name: `${name}-out` },
  ];
  const settings: NumberWorkerSettings = {
    client: options.client,
    brokers: options.brokers,
    delivery: options.delivery ?? 'exactly-once',
    input: input.name,
    output: output.name,
    group: name,
    thinkMs,
    maxInFlight: 8,
    tuning: { ...quickSession, ...options.tuning },
  };
  // The reader and the writer are the other client: a fault of one is not hidden by the same fault on the other side.
  const observer = openTestBus(options.client === 'kafkajs' ? 'platformatic' : 'kafkajs', options.brokers, {
    tuning: { publishTimeoutMs: 60_000, stallTimeoutMs: 120_000 },
  });
  const workers: Worker[] = [];
  const startWorker = async (changes: Partial<NumberWorkerSettings> = {}): Promise<Worker> => {
    const worker = new Worker({ ...settings, ...changes }, note);
    workers.push(worker);
    await worker.until('ready');
    return worker;
  };
  const seen = new Map<string, number[]>();
  const results: SeenResult[] = [];
  const lastSeenMs = new Map<string, number>();
  let longestGapMs = 0;
  let published = 0;
  let refused = 0;
  const newest = new Map<string, number>();
  let publishing = true;
  try {
    await createTestTopics(observer, [input.name, output.name], partitions, options.replicationFactor ?? 1);
    const readTo = new Map<string, bigint>();
    await observer.consume(output, { group: `${name}-reader`, maxInFlight: 64 }, (message) => {
      // The reader itself may go back to its last position when the broker dies: what stands at one offset counts once.
      const { partition, offset } = message;
      const at = `${String(partition)}/${message.key}`;
      if (offset <= (readTo.get(at) ?? -1n)) return Promise.resolve();
      readTo.set(at, offset);
      const nowMs = performance.now();
      longestGapMs = Math.max(longestGapMs, nowMs - (lastSeenMs.get(message.key) ?? nowMs));
      lastSeenMs.set(message.key, nowMs);
      const numbers = seen.get(message.key) ?? [];
      numbers.push(message.value.number);
      seen.set(message.key, numbers);
      results.push({ at, offset, ...message.value });
      return Promise.resolve();
    });
    await Promise.all(Array.from({ length: workerCount }, () => startWorker()));
    note('workers ready');
    const acknowledged = new Map<string, Set<number>>();
    const camera = async (key: string): Promise<void> => {
      const accepted = new Set<number>();
      acknowledged.set(key, accepted);
      const pending = new Set<Promise<void>>();
      for (let number = 0; publishing; number += 1) {
        const sent = observer.publish(input, { key, value: { number, by: 0 } }).then(
          () => {
            accepted.add(number);
            newest.set(key, number);
            published += 1;
          },
          (error: unknown) => {
            refused += 1;
            note(`publish refused: ${String(error)}`);
          },
        );
        pending.add(sent);
        void sent.then(() => pending.delete(sent)); // never rejects
        await new Promise((wake) => setTimeout(wake, 1_000 / fps));
      }
      await Promise.all(pending);
    };
    const cameraKeys = Array.from({ length: cameras }, (_, index) => `camera-${String(index)}`);
    const publishers = Promise.all(cameraKeys.map(camera));
    const flowing = async (limitMs = 45_000): Promise<number> => {
      const sinceMs = performance.now();
      const wanted = new Map(newest);
      const behind = (): string[] =>
        cameraKeys.filter((key) => (seen.get(key)?.at(-1) ?? -1) <= (wanted.get(key) ?? 0));
      while (behind().length > 0) {
        if (performance.now() - sinceMs > limitMs)
          throw new Error(
            `no results of ${behind().join()} for ${String(limitMs)} ms\n${timeline.join('\n')}\n${JSON.stringify(observer.lag())}`,
          );
        await new Promise((wake) => setTimeout(wake, 10));
      }
      return performance.now() - sinceMs;
    };
    try {
      await flowing();
      // Gaps count from here on: the start is not a fault.
      longestGapMs = 0;
      note('results flow');
      await options.faults({ workers, startWorker, flowing, note });
      note('faults over');
    } finally {
      publishing = false;
      await publishers;
    }
    /** What stands on the input: a writer that loses its broker before the answer may write a batch again, which is not the workers' doing. */
    const readInput = async (expected: ReadonlyMap<string, ReadonlySet<number>>): Promise<Map<string, number[]>> => {
      const given = new Map<string, number[]>();
      await observer.consume(input, { group: `${name}-input-reader`, maxInFlight: 64 }, ({ key, value }) => {
        given.set(key, [...(given.get(key) ?? []), value.number]);
        return Promise.resolve();
      });
      const isWhole = (): boolean =>
        [...expected].every(([key, numbers]) => {
          const there = new Set(given.get(key));
          return [...numbers].every((number) => there.has(number));
        });
      const limitMs = performance.now() + 20_000;
      while (!isWhole() && performance.now() < limitMs) await new Promise((wake) => setTimeout(wake, 50));
      return given;
    };
    /** Tells results that were written twice from those of an aborted transaction that only our reader takes for committed. */
    const countByOtherClient = async (): Promise<number> => {
      const other = openTestBus(options.client, options.brokers);
      let count = 0;
      try {
        await other.consume(output, { group: `${name}-second-reader`, maxInFlight: 64 }, () => {
          count += 1;
          return Promise.resolve();
        });
        const limitMs = performance.now() + 5_000;
        while (count < results.length && performance.now() < limitMs) await new Promise((wake) => setTimeout(wake, 50));
      } finally {
        await other.close();
      }
      return count;
    };
    const missing = (): number => {
      let count = 0;
      for (const [key, numbers] of acknowledged) {
        const got = new Set(seen.get(key));
        for (const number of numbers) if (!got.has(number)) count += 1;
      }
      return count;
    };
    const deadlineMs = performance.now() + (options.settleMs ?? 30_000);
    while (missing() > 0 && performance.now() < deadlineMs) await new Promise((wake) => setTimeout(wake, 50));
    const given = await readInput(acknowledged);
    const repeatedOnInput = repeated(given, new Map());
    if (repeatedOnInput > 0) note(`the writer put ${String(repeatedOnInput)} numbers on the input again`);
    const duplicates = repeated(seen, given);
    if (duplicates > 0) {
      for (const line of repeatsOf(results)) note(line);
      note(`read by the other client: ${String(await countByOtherClient())} results, here ${String(results.length)}`);
    }
    const reordered = Math.max(0, steppedBack(seen) - steppedBack(given));
    return { published, refused, lost: missing(), duplicates, reordered, longestGapMs, timeline };
  } finally {
    publishing = false;
    for (const worker of workers) if (!worker.ended) worker.signal('SIGKILL');
    await Promise.all(workers.map((worker) => worker.exited));
    await observer.close();
  }
}

/** Where each repeated result stands and which process made it, for the timeline of a failure. */
function repeatsOf(results: readonly SeenResult[]): string[] {
  const byNumber = new Map<string, SeenResult[]>();
  for (const result of results) {
    const id = `${result.at} number ${String(result.number)}`;
    byNumber.set(id, [...(byNumber.get(id) ?? []), result]);
  }
  return [...byNumber]
    .filter(([, same]) => same.length > 1)
    .map(([id, same]) => {
      const places = same.map(({ offset, by }) => `offset ${String(offset)} by worker ${String(by)}`);
      return `${id}: ${places.join(', ')}`;
    });
}

/** How often numbers stand there beyond once, or beyond as often as in what they were made of. */
function repeated(
  numbersOf: ReadonlyMap<string, readonly number[]>,
  madeOf: ReadonlyMap<string, readonly number[]>,
): number {
  let count = 0;
  for (const [key, numbers] of numbersOf) {
    const allowed = timesOf(madeOf.get(key) ?? []);
    for (const [number, times] of timesOf(numbers)) count += Math.max(0, times - (allowed.get(number) ?? 1));
  }
  return count;
}

function timesOf(numbers: readonly number[]): Map<number, number> {
  const times = new Map<number, number>();
  for (const number of numbers) times.set(number, (times.get(number) ?? 0) + 1);
  return times;
}

/** How often a smaller number follows a larger one. */
function steppedBack(numbersOf: ReadonlyMap<string, readonly number[]>): number {
  let count = 0;
  for (const numbers of numbersOf.values())
    count += numbers.filter((number, index) => index > 0 && number < (numbers[index - 1] ?? 0)).length;
  return count;
}
