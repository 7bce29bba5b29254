import type { Subscription } from '#shared/bus/message-bus';
import type { ServiceConnection } from '../../cli/service/service-connection.ts';
import type { LoadMeeting } from './load-connection.ts';
import { usageOfTrees } from './load-process.ts';
import type { LoadSample } from './load-report.ts';
import type { ResultAccount } from './result-account.ts';

/** What the reader has seen since the last sample. */
interface Second {
  results: number;
  agesMs: number[];
  dropped: Record<string, number>;
}

export interface WatchedProcess {
  readonly name: string;
  readonly pid: number;
}

/** Reads the results as any consumer does, and sums up what each second showed. */
export class LoadSampler {
  #second: Second = { results: 0, agesMs: [], dropped: {} };
  #before = new Map<number, number>();
  #lastS = 0;

  /** At least once: what stands at one offset counts once. */
  read({ bus, topics }: ServiceConnection, { prefix }: LoadMeeting, account: ResultAccount): Promise<Subscription> {
    const readTo = new Map<number, bigint>();
    return bus.consume(topics.detections, { group: `${prefix}.reader`, maxInFlight: 64 }, (message) => {
      const { value, partition, offset } = message;
      if (offset <= (readTo.get(partition) ?? -1n)) return Promise.resolve();
      readTo.set(partition, offset);
      account.add(value, performance.now());
      const second = this.#second;
      second.results += 1;
      second.agesMs.push(Date.now() - value.header.capture_time / 1_000);
      const { drops_by_reason: reasons, frames_dropped_deadline: expired, frames_failed: failed } = value.accounting;
      const counts = [...Object.entries(reasons), ['deadline', expired] as const, ['failed', failed] as const];
      for (const [reason, count] of counts)
        if (count > 0) second.dropped[reason] = (second.dropped[reason] ?? 0) + count;
      return Promise.resolve();
    });
  }

  /** Since the sample before. */
  sample(atS: number, processes: readonly WatchedProcess[], lag?: number): LoadSample {
    const usages = usageOfTrees(processes.map(({ pid }) => pid));
    const [cpu, rssMb]: [Record<string, number>, Record<string, number>] = [{}, {}];
    for (const { name, pid } of processes) {
      const usage = usages.get(pid);
      if (usage === undefined) continue;
      const spentS = Math.max(0, usage.cpuS - (this.#before.get(pid) ?? usage.cpuS));
      this.#before.set(pid, usage.cpuS);
      cpu[name] = spentS / Math.max(atS - this.#lastS, 1e-3);
      rssMb[name] = usage.rssMb;
    }
    this.#lastS = atS;
    const second = this.#second;
    this.#second = { results: 0, agesMs: [], dropped: {} };
    return { atS, ...second, cpu, rssMb, lag };
  }
}

/** Frames on the broker that are not done with; undefined where it does not answer in time. */
export async function lagOf(
  { bus, topics }: ServiceConnection,
  { prefix }: LoadMeeting,
  limitMs: number,
): Promise<number | undefined> {
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
  const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), limitMs));
  return Promise.race([ask().catch(() => undefined), late]);
}
